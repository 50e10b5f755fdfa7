package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// witness looks at what the machines share, and is none of them.
type witness struct {
	t        *testing.T
	dir      string
	log      logReader
	catalog  *mongo.Catalog
	playback *mongo.Rows[projections.PlaybackRow]
	relay    *mongo.Rows[struct{}]
	facts    *mongo.Analytics
	blobs    *s3.Store
	bus      *aws.Bus
}

// witness connects to the servers, which are provisioned by then.
func (m *machines) witness() *witness {
	t, ctx := m.t, m.t.Context()
	t.Helper()
	w := &witness{t: t, dir: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opened := places{Data: w.dir, Log: m.mongo, Views: m.mongo}.opener(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = opened.Close() })
	var err error
	w.log, err = opened.readLog(ctx)
	must(err)
	db, err := opened.mongo(ctx, m.mongo)
	must(err)
	w.catalog, err = mongo.OpenCatalog(ctx, db)
	must(err)
	w.playback, err = mongo.OpenRows(ctx, db, projections.PlaybackModel())
	must(err)
	w.relay, err = mongo.OpenRows(ctx, db, projections.RelayModel())
	must(err)
	w.facts, err = mongo.OpenAnalytics(ctx, db)
	must(err)
	w.blobs, err = s3.Open(ctx, s3.Options{
		Bucket: m.name, Region: backends.Region, Endpoint: m.s3, PathStyle: true, AccessKey: m.access, SecretKey: m.secret,
		CacheDir: filepath.Join(w.dir, "cache"),
	})
	must(err)
	w.bus = m.openAWS(awsTopics())
	return w
}

// openAWS connects to the queues with topics that need not be there yet.
func (m *machines) openAWS(topics []aws.Topic) *aws.Bus {
	m.t.Helper()
	b, err := aws.Open(m.t.Context(), aws.Options{
		Config: awssdk.Config{
			Region: backends.Region, BaseEndpoint: &m.servers.aws,
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
		backlogs, err := w.bus.Backlogs(ctx)
		if err != nil {
			return err.Error()
		}
		for _, b := range backlogs {
			if b.Ready+b.InWork > 0 {
				return fmt.Sprintf("the queue of %s is not empty: %+v", b.Group, b)
			}
		}
		after, err := w.log.Head(ctx)
		if err != nil {
			return err.Error()
		}
		if published < head || head != after {
			return fmt.Sprintf("published up to %d of %d", published, after)
		}
		return ""
	})
}

// check holds log, media, read models and figures against each other.
func (w *witness) check() {
	t := w.t
	t.Helper()
	findings, err := w.log.VerifyChain(t.Context())
	if err != nil || len(findings) > 0 {
		t.Errorf("the log: %v, %v", findings, err)
	}
	events := w.events()
	for _, wrong := range wrongInLog(events) {
		t.Error(wrong)
	}
	eventually(t, time.Minute, func() string { return w.wrongInMedia(events) })
	eventually(t, time.Minute, w.wrongInReadModels)
	eventually(t, time.Minute, func() string { return w.wrongInFigures(events) })
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
		once := ""
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

// wrongInMedia compares what is stored with what the log names.
func (w *witness) wrongInMedia(events []domain.Recorded) string {
	w.t.Helper()
	ctx := w.t.Context()
	streams, named := map[string][]domain.Recorded{}, map[string]domain.Blob{}
	for _, r := range events {
		streams[r.Stream] = append(streams[r.Stream], r)
	}
	for _, one := range streams {
		for _, b := range commands.LiveBlobs(one) {
			named[b.Key] = b
		}
	}
	err := w.blobs.List(ctx, "", func(s commands.StoredBlob) error {
		want, ok := named[s.Key]
		if !ok {
			return fmt.Errorf("%s is stored, but no event names it", s.Key)
		}
		delete(named, s.Key)
		if sum, err := w.blobs.Sum(ctx, s.Key); err != nil || sum != want.SHA256 || s.Bytes != want.Bytes {
			return fmt.Errorf("%s has %d bytes with sum %s, the log says %+v; %v", s.Key, s.Bytes, sum, want, err)
		}
		return nil
	})
	for key := range named {
		err = errors.Join(err, fmt.Errorf("%s is not stored", key))
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (w *witness) wrongInReadModels() string {
	for name, verify := range map[string]func() (mongo.Rebuilt, error){
		"catalog":  func() (mongo.Rebuilt, error) { return w.catalog.Verify(w.t.Context(), w.log, nil) },
		"playback": func() (mongo.Rebuilt, error) { return w.playback.Verify(w.t.Context(), w.log, nil) },
	} {
		switch r, err := verify(); {
		case err != nil:
			return fmt.Sprintf("%s: %v", name, err)
		case r.Hash != r.LiveHash || r.Rows == 0:
			return fmt.Sprintf("%s: a rebuild of %d rows at %d differs in %v", name, r.Rows, r.Position, r.Different)
		}
	}
	return ""
}

// wrongInFigures compares the figures with those that the log gives when every event is counted once and in order.
func (w *witness) wrongInFigures(events []domain.Recorded) string {
	ctx := w.t.Context()
	again, err := sqlite.OpenAnalytics(ctx, w.t.TempDir())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = again.Close() }()
	if err := projections.RecordEvents(ctx, again, events...); err != nil {
		return err.Error()
	}
	from, to := time.Now().Add(-72*time.Hour), time.Now().Add(72*time.Hour)
	want, err := again.Summary(ctx, from, to)
	if err != nil {
		return err.Error()
	}
	got, err := w.facts.Summary(ctx, from, to)
	if err != nil {
		return err.Error()
	}
	return cmp.Diff(want, got)
}
