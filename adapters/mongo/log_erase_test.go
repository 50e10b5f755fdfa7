package mongo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

// TestErasedTextsAreForgotten erases what other processes have in memory: one that has read it, one that has written it,
// and one that begins between the record and the erasure.
func TestErasedTextsAreForgotten(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	writer, reader, eraser := openLog(t, uri), openLog(t, uri), openLog(t, uri)
	add := func(l *mongo.Log, expected int, events ...domain.Event) {
		t.Helper()
		if _, err := l.Append(t.Context(), domain.Commit{ID: uuid.NewString(), Stream: "a", Expected: expected, Events: events}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(l *mongo.Log) string {
		t.Helper()
		stream, err := l.ReadStream(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		after, err := l.ReadAfter(t.Context(), 0, 100)
		if err != nil || len(after) != len(stream) {
			t.Fatalf("%d events, %d of the stream, %v", len(after), len(stream), err)
		}
		return fmt.Sprintf("%+v %+v", stream, after)
	}
	add(writer, 0, domain.VideoCreated{Details: domain.Details{Title: "Zanzibar"}})
	add(writer, 1, domain.VideoDeleted{})
	for _, l := range []*mongo.Log{writer, reader} {
		if !strings.Contains(ask(l), "Zanzibar") {
			t.Fatal("there is nothing to forget")
		}
	}
	events, err := eraser.ReadStream(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	decided, err := domain.Erase(events)
	if err != nil {
		t.Fatal(err)
	}
	add(eraser, 2, decided...)
	late := openLog(t, uri)
	ask(late)
	if err := eraser.EraseTexts(t.Context(), "a", domain.Erased([]domain.Recorded{{Event: decided[0]}})); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*mongo.Log{"the writer": writer, "a reader": reader, "the eraser": eraser, "a late one": late} {
		if told := ask(l); strings.Contains(told, "Zanzibar") {
			t.Errorf("%s says %s", name, told)
		}
	}
	verify(t, reader.LogReader)
}
