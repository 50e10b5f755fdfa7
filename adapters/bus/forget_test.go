package bus_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Messages that wait and dead letters forget what a video's events had, and still say which events those are.
func TestMessagesForgetAVideo(t *testing.T) {
	t.Parallel()
	db := openDB(t, filepath.Join(t.TempDir(), "bus.db"))
	q := open(t, db, bus.Options{})
	if err := q.DeclareGroup(t.Context(), messaging.TopicEvents, "g"); err != nil {
		t.Fatal(err)
	}
	for i, video := range []string{"a", "a", "b"} {
		payload, err := domain.MarshalCloudEvent(domain.Recorded{
			Position: domain.Position(i + 1), Stream: video, Version: 1, Event: domain.VideoCreated{Details: domain.Details{Title: "Zanzibar"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		m := message.NewMessage(video, payload)
		m.Metadata.Set(messaging.MetaVideo, video)
		if err := q.Publisher().Publish(messaging.TopicEvents, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE messages SET state = 2, reason = 'it cannot be done' WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := q.Forget(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	letters, err := q.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d dead letters, %v", len(letters), err)
	}
	if e, err := domain.UnmarshalCloudEvent(letters[0].Payload); !errors.Is(err, domain.ErrDataLeftOut) || e.Position != 2 || e.Stream != "a" {
		t.Errorf("the dead letter says %+v, %v", e, err)
	}
	rows, err := db.QueryContext(t.Context(), `SELECT uuid, payload FROM messages`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var video string
		var payload []byte
		if err := rows.Scan(&video, &payload); err != nil {
			t.Fatal(err)
		}
		if told := bytes.Contains(payload, []byte("Zanzibar")); told != (video == "b") {
			t.Errorf("a message about %s is %s", video, payload)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
