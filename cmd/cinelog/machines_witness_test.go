package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// witness looks at what the machines share, and is none of them.
type witness struct {
	t        testing.TB
	machines *machines
	log      logReader
	relay    *mongo.Rows[struct{}]
	bus      *aws.Bus
}

// witness connects to the servers, which are provisioned by then.
func (m *machines) witness() *witness {
	t, ctx := m.t, m.t.Context()
	t.Helper()
	opened := places{Data: t.TempDir(), Log: m.mongo, Views: m.mongo}.opener(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = opened.Close() })
	log, err := opened.readLog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	db, err := opened.mongo(ctx, m.mongo)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := mongo.OpenRows(ctx, db, projections.RelayModel())
	if err != nil {
		t.Fatal(err)
	}
	return &witness{t: t, machines: m, log: log, relay: relay, bus: m.openAWS(awsTopics())}
}

// openAWS connects to the queues with topics that need not be there yet.
func (m *machines) openAWS(topics []aws.Topic) *aws.Bus {
	m.t.Helper()
	b, err := aws.Open(m.t.Context(), aws.Options{
		Config: awssdk.Config{
			Region: backends.Region, BaseEndpoint: &m.aws,
			Credentials: credentials.NewStaticCredentialsProvider(m.access, m.secret, ""),
		},
		Now: time.Now, Prefix: m.name, Topics: topics, Wait: time.Second,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = b.Close() })
	return b
}

// events reads the whole log.
func (w *witness) events() (all []domain.Recorded) {
	w.t.Helper()
	for after := domain.Position(0); ; {
		some, err := w.log.ReadAfter(w.t.Context(), after, 5000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
		after = all[len(all)-1].Position
	}
}

// settled waits until nothing is left to do: every event is published, every queue is empty.
func (w *witness) settled(limit time.Duration) {
	w.t.Helper()
	ctx := w.t.Context()
	eventually(w.t, limit, func() string {
		head, err := w.log.Head(ctx)
		if err != nil {
			return err.Error()
		}
		published, err := w.relay.Checkpoint(ctx)
		if err != nil {
			return err.Error()
		}
		if published < head {
			return fmt.Sprintf("published up to %d of %d", published, head)
		}
		return w.undone(head)
	})
}

// drained is settled where no relay of the program runs.
func (w *witness) drained(limit time.Duration) {
	w.t.Helper()
	eventually(w.t, limit, func() string {
		head, err := w.log.Head(w.t.Context())
		if err != nil {
			return err.Error()
		}
		return w.undone(head)
	})
}

// undone says what is in the queues, or came into the log since it ended at head.
func (w *witness) undone(head domain.Position) string {
	backlogs, err := w.bus.Backlogs(w.t.Context())
	if err != nil {
		return err.Error()
	}
	for _, b := range backlogs {
		if b.Ready+b.InWork > 0 {
			return fmt.Sprintf("the queue of %s is not empty: %+v", b.Group, b)
		}
	}
	if after, err := w.log.Head(w.t.Context()); err != nil || after != head {
		return fmt.Sprintf("the log goes on: %d, %v", after, err)
	}
	return ""
}

// check holds log, media, read models and figures against each other.
func (w *witness) check() {
	w.t.Helper()
	for _, wrong := range wrongInLog(w.events()) {
		w.t.Error(wrong)
	}
	// What a worker has discarded, and what woke a group, may still be on its way.
	eventually(w.t, time.Minute, func() string {
		if out, err := w.machines.run("verify"); err != nil {
			return out
		}
		return ""
	})
	for _, p := range w.machines.processes {
		select {
		case <-p.ended:
			continue
		default:
		}
		if p.at != "" {
			allFollowTheRules(w.t, p.at)
			return
		}
	}
	w.t.Error("no server is left to ask for what it serves")
}

// wrongInLog says what is there twice, or not in its place.
func wrongInLog(events []domain.Recorded) (wrong []string) {
	versions, seen := map[string]int{}, map[string]domain.Position{}
	for i, r := range events {
		if r.Position != domain.Position(i+1) {
			wrong = append(wrong, fmt.Sprintf("the event after position %d has position %d", i, r.Position))
		}
		versions[r.Stream]++
		if r.Version != versions[r.Stream] {
			wrong = append(wrong, fmt.Sprintf("video %s: version %d where %d was due", r.Stream, r.Version, versions[r.Stream]))
		}
		var once string
		switch e := r.Event.(type) {
		case domain.ChunkTranscoded:
			once = pieceOf(r.Stream, e.Attempt, strconv.Itoa(e.Chunk))
		case domain.AudioTranscoded:
			once = pieceOf(r.Stream, e.Attempt, fmt.Sprintf("audio part %d", e.Part))
		case domain.RenditionProduced:
			once = pieceOf(r.Stream, e.Attempt, "rendition "+e.Name)
		case domain.VideoPublished:
			once = "publication of " + r.Stream
		default:
			continue
		}
		if at, twice := seen[once]; twice {
			wrong = append(wrong, fmt.Sprintf("%s is recorded at %d and at %d", once, at, r.Position))
		}
		seen[once] = r.Position
	}
	return wrong
}
