package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/webhooks"
)

// installation is a data folder with all that a server makes, and no server.
type installation struct {
	t          *testing.T
	dir        string
	ready      domain.VideoID // complete, with its media
	inWork     domain.VideoID // uploaded, and its message waits
	segment    string         // key of one of ready's
	quiet      []string       // flags of a verify that finds nothing
	afterwards func()
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	in := &installation{t: t, dir: t.TempDir(), quiet: []string{"--grace", "0s"}}
	in.ready, in.inWork = in.newID(), in.newID()
	in.appendReady(in.ready, 4)
	in.append(in.inWork, domain.VideoCreated{}, domain.VideoUploaded{Attempt: 1, Source: in.put(in.inWork, "sources/%s/a", "a source")})
	in.withQueues(func(ctx context.Context, q *bus.Queues) error {
		for topic, groups := range consumerGroups() {
			for _, g := range groups {
				if err := q.DeclareGroup(ctx, topic, g); err != nil {
					return err
				}
			}
		}
		log, err := sqlite.OpenLogReadOnly(ctx, in.dir)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }()
		_, err = projections.CatchUp(ctx, log, q.Relay(relayName), projections.CatchUpOptions{})
		return err
	})
	cinelog(t, exitDone, "--data", in.dir, "replay", "all")
	return in
}

func (in *installation) must(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) newID() domain.VideoID {
	in.t.Helper()
	id, err := domain.NewVideoID()
	in.must(err)
	return id
}

func (in *installation) put(id domain.VideoID, key, content string) domain.Blob {
	in.t.Helper()
	store, err := localfs.Open(filepath.Join(in.dir, "blobs"))
	in.must(err)
	defer func() { _ = store.Close() }()
	b, err := store.Put(in.t.Context(), fmt.Sprintf(key, id), strings.NewReader(content))
	in.must(err)
	return b
}

func (in *installation) append(id domain.VideoID, events ...domain.Event) {
	in.t.Helper()
	log, err := sqlite.OpenLog(in.t.Context(), in.dir)
	in.must(err)
	defer func() { _ = log.Close() }()
	appendTo(in.t, log, id, events...)
}

// appendReady appends the life of a video of 6 s, whose first segment lasts as long as is said.
func (in *installation) appendReady(id domain.VideoID, first float64) {
	in.t.Helper()
	source := domain.SourceInfo{Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 150, Duration: 6}
	plan := domain.PlanTranscode(source)
	events := []domain.Event{
		domain.VideoCreated{Publish: domain.PublishAuto, Details: domain.Details{Title: "Sound", Visibility: domain.Public}, PlaybackPolicy: domain.PlaybackPublic},
		domain.VideoUploaded{Attempt: 1, Source: in.put(id, "sources/%s/a", "a source")},
		domain.SourceInspected{Attempt: 1, Source: source},
		domain.TranscodePlanned{Attempt: 1, Plan: plan},
	}
	begin := in.put(id, "media/%s/a1/init.mp4", "how it begins")
	for n, seconds := range []float64{first, 2} {
		segment := domain.Segment{Blob: in.put(id, fmt.Sprintf("media/%%s/a1/%d.m4s", n), fmt.Sprint("segment ", n)), Duration: seconds}
		in.segment = segment.Key
		events = append(events, domain.ChunkTranscoded{Attempt: 1, Chunk: n, Renditions: []domain.RenditionChunk{
			{Name: plan.Rungs[0].Name, Codecs: "avc1.64000d", Init: begin, Segments: []domain.Segment{segment}},
		}})
	}
	events = append(events, domain.RenditionProduced{
		Attempt: 1, Name: plan.Rungs[0].Name, Width: 426, Height: 240, FrameRate: source.FrameRate, Codecs: "avc1.64000d", Bytes: 18, Duration: 6,
	}, domain.VideoPublished{})
	in.append(id, events...)
}

func (in *installation) withQueues(do func(context.Context, *bus.Queues) error) {
	in.t.Helper()
	db, err := sqlite.OpenDB(in.t.Context(), filepath.Join(in.dir, "bus.db"), sqlite.Normal)
	in.must(err)
	defer func() { _ = db.Close() }()
	q, err := bus.Open(in.t.Context(), db, bus.Options{Shared: true, Now: time.Now})
	in.must(err)
	in.must(do(in.t.Context(), q))
	in.must(q.Close())
}

// exec changes a database past the program.
func (in *installation) exec(file, statement string) {
	in.t.Helper()
	files, err := filepath.Glob(filepath.Join(in.dir, file))
	in.must(err)
	if len(files) == 0 {
		in.t.Fatalf("there is no %s", file)
	}
	db, err := sqlite.OpenDB(in.t.Context(), files[len(files)-1], sqlite.Normal) // the newest generation
	in.must(err)
	defer func() { _ = db.Close() }()
	r, err := db.ExecContext(in.t.Context(), statement)
	in.must(err)
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		in.t.Fatalf("%s changed nothing: %v", statement, err)
	}
}

func (in *installation) verify(want int, flags ...string) verified {
	in.t.Helper()
	var r verified
	out := cinelog(in.t, want, slices.Concat([]string{"--data", in.dir, "verify", "--report", "-"}, in.quiet, flags)...)
	in.must(json.Unmarshal([]byte(out), &r))
	return r
}

func (r verified) all() (all []finding) {
	for _, c := range r.Checks {
		all = append(all, c.Findings...)
	}
	return all
}

// webhook plants an endpoint that has come so far, with a delivery that was due a while ago.
func (in *installation) webhook(to domain.Position) {
	in.t.Helper()
	ctx := in.t.Context()
	db, err := sqlite.OpenOperations(ctx, in.dir)
	in.must(err)
	defer func() { _ = db.Close() }()
	store, err := sqlite.OpenWebhooks(ctx, db)
	in.must(err)
	e := webhooks.Endpoint{ID: "wh_1", URL: "https://example.org/", Enabled: true, Version: 1}
	in.must(store.Create(ctx, e))
	in.must(store.Advance(ctx, e.ID, webhooks.Cursor{Position: to, Round: 1}, []webhooks.Delivery{{
		Endpoint: e.ID, Position: 1, Video: string(in.ready), Type: "video.created.v1", Round: 1, Status: webhooks.Pending, Next: time.Now().Add(-time.Minute),
	}}))
}

// Each bug that is planted is found by the check that is for it, and by no other; what can be derived is mended, and is
// right afterwards.
func TestEveryPlantedBugIsFound(t *testing.T) {
	t.Parallel()
	whole := newInstallation(t)
	if r := whole.verify(exitDone); r.Wrong > 0 || r.Videos != 2 || r.Files != 5 || len(r.Models) != 3 || r.Models[0].Hash != r.Models[0].LiveHash {
		t.Fatalf("nothing is wrong, but it says %+v", r)
	}
	for name, bug := range map[string]struct {
		plant  func(in *installation)
		check  string
		says   string
		mended bool
		notice bool
	}{
		"ChangedEvent": {check: "log", says: "hash", plant: func(in *installation) {
			in.exec("events.db", "UPDATE commits SET meta = replace(meta, 'local', 'other') WHERE position = 1")
		}},
		"PublishedTwice": {check: "transitions", says: "published already", plant: func(in *installation) {
			in.append(in.ready, domain.VideoPublished{})
		}},
		"LostSegment": {check: "media", says: "is missing", plant: func(in *installation) {
			in.must(os.Remove(filepath.Join(in.dir, "blobs", filepath.FromSlash(in.segment))))
		}},
		"ShortPlaylist": {check: "playlists", says: "it lasts 5.000 s, the source 6.000 s", plant: func(in *installation) {
			in.appendReady(in.newID(), 3)
			cinelog(in.t, exitDone, "--data", in.dir, "replay", "all")
		}},
		"Orphan": {check: "orphans", says: "left.m4s", mended: true, plant: func(in *installation) {
			in.put(in.ready, "media/%s/a1/left.m4s", "left over")
		}},
		"Stranger": {check: "orphans", says: "no such video", plant: func(in *installation) {
			in.put(in.newID(), "media/%s/a1/left.m4s", "left over")
		}},
		"HalfWritten": {check: "temporary", says: "half-written", mended: true, plant: func(in *installation) {
			store, err := localfs.Open(filepath.Join(in.dir, "blobs")) // as a server that is running
			in.must(err)
			in.afterwards = func() { _ = store.Close() }
			in.must(os.WriteFile(filepath.Join(in.dir, "blobs", ".tmp", "left"), []byte("half"), 0o600))
		}},
		"WrongRow": {check: "read models", says: "replay all", mended: true, plant: func(in *installation) {
			in.exec("views-catalog-*.db", "UPDATE rows SET doc = CAST(replace(CAST(doc AS TEXT), 'Sound', 'Wrong') AS BLOB)")
		}},
		"ModelAheadOfTheLog": {check: "checkpoints", says: "playback has applied more", mended: true, plant: func(in *installation) {
			in.exec("views-playback-*.db", "UPDATE meta SET checkpoint = 1000")
		}},
		"RelayAheadOfTheLog": {check: "checkpoints", says: "the relay has published up to 1000", mended: true, plant: func(in *installation) {
			in.withQueues(func(ctx context.Context, q *bus.Queues) error { return q.SaveCheckpoint(ctx, relayName, 1000) })
		}},
		"LetterWithoutAReason": {check: "messages", says: "without a reason", plant: func(in *installation) {
			in.exec("bus.db", "UPDATE messages SET state = 2 WHERE consumer = 'analytics'")
		}},
		"DeadLetter": {check: "messages", says: "too bad", notice: true, plant: func(in *installation) {
			in.exec("bus.db", "UPDATE messages SET state = 2, reason = 'too bad', received = 10 WHERE consumer = 'analytics'")
		}},
		"LostWork": {check: "in work", says: "no message is about it", mended: true, plant: func(in *installation) {
			in.exec("bus.db", "DELETE FROM messages WHERE consumer IN ('transcoding', 'workers')")
		}},
		"WebhookAheadOfTheLog": {check: "webhooks", says: "told of events up to 1000", plant: func(in *installation) { in.webhook(1000) }},
		"LateDelivery":         {check: "webhooks", says: "was due", notice: true, plant: func(in *installation) { in.webhook(1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := *whole
			in.t, in.dir = t, t.TempDir()
			in.must(os.CopyFS(in.dir, os.DirFS(whole.dir)))
			bug.plant(&in)
			if in.afterwards != nil {
				defer in.afterwards()
			}
			want := exitFailed
			if bug.notice {
				want = exitDone
			}
			r := in.verify(want)
			said := false
			for _, f := range r.all() {
				said = said || strings.Contains(f.What+f.Hint, bug.says)
				if waiting := f.Notice && strings.Contains(f.What, "messages wait for"); !waiting && f.Check != bug.check {
					t.Errorf("another check finds %+v", f)
				}
			}
			if !said {
				t.Fatalf("not found: %+v", r.all())
			}
			if bug.notice {
				return
			}
			before, err := os.ReadFile(filepath.Join(in.dir, "events.db"))
			in.must(err)
			dry := in.verify(exitFailed, "--repair", "--dry-run")
			if got := slices.ContainsFunc(dry.all(), func(f finding) bool { return strings.HasPrefix(f.Repair, "would ") }); got != bug.mended {
				t.Errorf("a dry repair says %+v", dry.all())
			}
			if len(in.verify(exitFailed).all()) != len(r.all()) {
				t.Error("a dry repair has changed something")
			}
			if !bug.mended {
				in.verify(exitFailed, "--repair")
				return
			}
			if r := in.verify(exitDone, "--repair"); slices.ContainsFunc(r.all(), func(f finding) bool { return !f.Notice && (f.Repair == "" || f.Error != "") }) {
				t.Errorf("the repair says %+v", r.all())
			}
			if r := in.verify(exitDone); slices.ContainsFunc(r.all(), func(f finding) bool { return !f.Notice }) {
				t.Errorf("after the repair: %+v", r.all())
			}
			after, err := os.ReadFile(filepath.Join(in.dir, "events.db"))
			in.must(err)
			if !bytes.Equal(before, after) {
				t.Error("the log was touched")
			}
		})
	}
}
