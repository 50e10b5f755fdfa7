package domain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// texts are the fields in which people, or files, say something. Elsewhere in events there are numbers, our own words, ids
// and checksums.
var texts = regexp.MustCompile(`"(owner|title|description|tags|metadata|filename|label|detail|no_remux)":`)

// What is left of an event is in logs for ever: it must come out the same of every sample, and there is nothing of a text
// in it.
func TestWhatAnErasureLeavesOfEverySample(t *testing.T) {
	t.Parallel()
	for _, name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sample, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, sample); err != nil {
				t.Fatal(err)
			}
			left := erase(t, typeOfSample(name), compact.Bytes())
			path := filepath.Join("testdata", "erased", name+".json")
			want, err := os.ReadFile(path)
			switch {
			case left == nil && texts.Match(compact.Bytes()):
				t.Errorf("nothing is erased of %s", compact.Bytes())
			case left == nil && !errors.Is(err, os.ErrNotExist):
				t.Errorf("nothing is erased, but there is %s", path)
			case left != nil && err != nil:
				t.Errorf("%v; what an erasure leaves is\n%s", err, left)
			case left != nil:
				if diff := cmp.Diff(strings.TrimSpace(string(want)), string(left)); diff != "" {
					t.Errorf("what is left differs from what logs hold (-logs +now):\n%s", diff)
				}
			}
			for _, rest := range regexp.MustCompile(`"(owner|title|description|filename|label|detail)":"[^"]+"|"(tags|metadata)":`).FindAll(left, -1) {
				t.Errorf("%s is left", rest)
			}
		})
	}
}

// erase returns what is left of an event, nil where it holds no texts.
func erase(t *testing.T, eventType string, data []byte) []byte {
	t.Helper()
	e, err := domain.DecodeEvent(eventType, data)
	if err != nil {
		t.Fatal(err)
	}
	decided, err := domain.Erase([]domain.Recorded{{Version: 1, Event: e}, {Version: 2, Event: domain.VideoDeleted{}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(decided) == 0 {
		return nil
	}
	c := domain.StoredCommit{First: 1, Events: []domain.EncodedEvent{{Type: eventType, Data: data}}}
	before := domain.ChainHash(nil, 1, c.Commit, c.Events)
	events, changed, err := decided[0].(domain.VideoErased).Apply(c)
	if err != nil || len(changed) != 1 {
		t.Fatalf("%d events changed, %v", len(changed), err)
	}
	if !bytes.Equal(domain.ChainHash(nil, 1, c.Commit, events), before) {
		t.Error("the tombstone has another hash")
	}
	left, err := domain.DecodeEvent(eventType, events[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := domain.EncodeEvent(left)
	if err != nil {
		t.Fatal(err)
	}
	c.Events = events
	if events, changed, err = decided[0].(domain.VideoErased).Apply(c); err != nil || len(changed) > 0 || !bytes.Equal(events[0].Data, c.Events[0].Data) {
		t.Errorf("a tombstone is erased to %s, %v", events[0].Data, err)
	}
	return again
}

func TestErasingIsForDeletedVideos(t *testing.T) {
	t.Parallel()
	if _, err := domain.Erase(nil); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a video that is not there: %v", err)
	}
	if _, err := domain.Erase([]domain.Recorded{{Version: 1, Event: created}}); !errors.Is(err, domain.ErrNotAllowed) {
		t.Errorf("a video that is not deleted: %v", err)
	}
}

// Who holds a digest finds a short text by trying; the salt is what makes that hopeless.
func TestTextsAreStoredWithASalt(t *testing.T) {
	t.Parallel()
	c := domain.Commit{Events: []domain.Event{
		domain.VideoDetailsChanged{Details: domain.Details{Title: "Holiday"}}, domain.VideoPublished{}, domain.TranscodeRequested{Attempt: 2},
	}}
	salt := regexp.MustCompile(`,"salt":"([A-Z2-7]{26})"}$`)
	seen := map[string]bool{}
	for range 10 {
		events, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		found := salt.FindSubmatch(events[0].Data)
		if found == nil || seen[string(found[1])] {
			t.Fatalf("no salt, or one that was there before: %s", events[0].Data)
		}
		seen[string(found[1])] = true
		if string(events[1].Data) != `{}` || string(events[2].Data) != `{"attempt":2}` {
			t.Errorf("a salt where there is no text: %s, %s", events[1].Data, events[2].Data)
		}
		if e, err := domain.DecodeEvent(events[0].Type, events[0].Data); err != nil || !cmp.Equal(e, c.Events[0]) {
			t.Errorf("it is read as %v, %v", e, err)
		}
	}
}

// erasedChain is a log of four commits of one stream whose texts are erased.
func erasedChain(t *testing.T) []domain.StoredCommit {
	t.Helper()
	var log []domain.StoredCommit
	var end domain.ChainEnd
	var recorded []domain.Recorded
	add := func(events ...domain.Event) {
		s := domain.StoredCommit{First: end.Position + 1, Commit: domain.Commit{
			ID: strings.Repeat("i", len(log)+1), Stream: "a", Expected: len(recorded), Time: time.UnixMicro(1), Events: events,
		}}
		var err error
		if s.Events, err = s.Commit.Encode(); err != nil {
			t.Fatal(err)
		}
		s.Hash = domain.ChainHash(end.Hash, s.First, s.Commit, s.Events)
		if end, err = end.Follow(s); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			recorded = append(recorded, domain.Recorded{Version: len(recorded) + 1, Event: e})
		}
		log = append(log, s)
	}
	add(created, domain.VideoUploaded{Attempt: 1, Filename: "holiday.mov", Source: domain.Blob{Bytes: 7}})
	add(domain.VideoDetailsChanged{Details: domain.Details{Title: "Holiday", Visibility: domain.Public}})
	add(domain.VideoDeleted{})
	decided, err := domain.Erase(recorded)
	if err != nil {
		t.Fatal(err)
	}
	add(decided...)
	for i, c := range log {
		if log[i].Events, _, err = decided[0].(domain.VideoErased).Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func TestChainCheckHoldsTombstonesAgainstErasures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(log []domain.StoredCommit) []domain.StoredCommit
		want   []string
	}{
		"nothing": {func(log []domain.StoredCommit) []domain.StoredCommit { return log }, nil},
		"what is left is changed": {
			func(log []domain.StoredCommit) []domain.StoredCommit {
				log[0].Events[1].Data = bytes.Replace(log[0].Events[1].Data, []byte(`"bytes":7`), []byte(`"bytes":8`), 1)
				return log
			},
			[]string{"event at 2: it is a tombstone, and no erasure is recorded that leaves this of it"},
		},
		"the digest is changed": {
			func(log []domain.StoredCommit) []domain.StoredCommit {
				d := log[1].Events[0].Data
				if d[len(d)-4]++; d[len(d)-4] > '9' {
					d[len(d)-4] = '1'
				}
				return log
			},
			[]string{"commit at 3: the hash does not fit to the content and the commit before"},
		},
		"an erasure that nobody recorded": {
			func(log []domain.StoredCommit) []domain.StoredCommit { return log[:3] },
			[]string{
				"event at 1: it is a tombstone, and no erasure is recorded that leaves this of it",
				"event at 2: it is a tombstone, and no erasure is recorded that leaves this of it",
				"event at 3: it is a tombstone, and no erasure is recorded that leaves this of it",
			},
		},
		"an event that was to be erased": {
			func(log []domain.StoredCommit) []domain.StoredCommit {
				log[0].Events[0] = domain.EncodedEvent{Type: log[0].Events[0].Type, Data: []byte(`{"details":{"title":"x","visibility":"public"}}`)}
				return log
			},
			[]string{
				"commit at 1: the hash does not fit to the content and the commit before",
				"commit at 5: the erasure of version 1 of stream a was not carried out: cinelog erase a",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, check(c.change(erasedChain(t))), equateEmpty); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

var equateEmpty = cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })
