package commands

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Ahead works on sources while they are still being sent, as far as they can be read from their beginning on: what it has
// made by then is recorded in the one commit that records the upload. Until then there is no trace of it, and none if the
// upload fails or is not what its digest says. Use it by pointer.
type Ahead struct {
	Worker   *Worker
	Encoder  FollowingEncoder
	Encoding domain.Encoding // for videos that ask for no other
	// Spool is a directory for copies of what is being sent, where storage has no file of it on this machine.
	Spool string
	After time.Duration // how long an upload lasts before anything is done, a tenth of what it does before pictures are measured; 1 s when 0
	Most  int           // uploads that are worked on at once; 2 when 0

	mu      sync.Mutex
	base    context.Context //nolint:containedctx // of all work, from Run on
	working int
	running sync.WaitGroup
}

// FollowingEncoder is an Encoder that also works on files that still grow.
type FollowingEncoder interface {
	Encoder
	// Follow says that the file at path is still arriving: all work on it, until done is called, waits for what it needs
	// of it. Inspect says ErrNotAhead of sources that cannot be understood before they are whole.
	Follow(path string, a Arriving) (done func())
	// Foresee says what the first seconds of a source let expect that Inspect needs all of: enough for its first chunk, if
	// it goes on like that. ErrNotAhead where Inspect needs no more.
	Foresee(ctx context.Context, path string) (domain.SourceInfo, error)
	// Needed returns how many bytes, from the beginning, of a source that is followed it takes to encode a chunk.
	Needed(ctx context.Context, job ChunkJob) (int64, error)
}

// ErrNotAhead says that nothing can be done with a source before it is whole.
var ErrNotAhead = errors.New("the source cannot be worked on before it is whole")

// Run lets work begin, and ends it all when ctx ends.
func (a *Ahead) Run(ctx context.Context) error {
	a.mu.Lock()
	a.base = ctx
	a.mu.Unlock()
	<-ctx.Done()
	a.mu.Lock()
	a.base = nil
	a.mu.Unlock()
	a.running.Wait()
	return nil
}

// Running says whether work may begin.
func (a *Ahead) Running() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.base != nil
}

// begin returns the work on one upload; nil where there is none to be done.
func (a *Ahead) begin(s *Service, u UploadSource, attempt int, key string) *foresight {
	if a == nil || u.Bytes <= 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.base == nil || a.working >= cmp.Or(a.Most, 2) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(a.base)
	f := &foresight{
		EventLog: s.Log, Blobs: s.Blobs, ahead: a, service: s, video: u.Video, attempt: attempt, source: key, cancel: cancel,
		arrival: newArrival(u.Bytes), ended: make(chan struct{}), settled: make(chan struct{}), planned: make(chan struct{}),
	}
	f.events = []domain.Event{domain.VideoUploaded{
		Attempt: attempt, Filename: domain.CleanFilename(u.Filename), Source: domain.Blob{Key: key, Bytes: u.Bytes},
	}}
	a.working++
	a.running.Go(func() {
		defer func() {
			a.mu.Lock()
			a.working--
			a.mu.Unlock()
		}()
		f.run(ctx)
	})
	return f
}
