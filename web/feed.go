package web

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// feed gives out the log to all who follow it. It does nothing while nobody does.
type feed struct {
	log      projections.Log
	appended <-chan struct{}
	tick     time.Duration
	stopping <-chan struct{}
	logger   *slog.Logger
	now      func() time.Time
	behind   chan struct{} // whoever reads the log by himself holds one
	most     int           // followers
	history  func(context.Context, domain.VideoID) ([]domain.Recorded, error)

	mu      sync.Mutex
	current *news // nil while nobody follows
}

// What following may cost.
const (
	keptFrames   = 4096
	keptBytes    = 8 << 20
	newsBatch    = 256 // events that are read at once
	behindBatch  = 64
	behindAtOnce = 4
	wakeCost     = 50 * time.Microsecond // of one follower, about: many are woken less often, for more events
	wakePause    = 2 * time.Millisecond
)

const (
	defaultFollowers = 5000
	defaultTick      = time.Second
)

func newFeed(s *Server) *feed {
	f := &feed{
		log: s.Events, appended: s.Appended, tick: cmp.Or(s.EventsTick, defaultTick), stopping: s.Stopping, logger: s.Log, now: s.Now,
		behind: make(chan struct{}, behindAtOnce), most: cmp.Or(s.MaxFollowers, defaultFollowers),
		history: func(ctx context.Context, id domain.VideoID) ([]domain.Recorded, error) {
			return s.Commands.History(ctx, id)
		},
	}
	return f
}

// frame is an event as it is sent.
type frame struct {
	position    domain.Position
	kind, video string
	text        []byte
	progress    []byte // how far the video is then, for those who want to know; nil where it is as far as before
}

// newFrame writes an event as server-sent events have it (WHATWG HTML, 9.2.5). Its data are what the bus carries: JSON,
// which has no line break.
func newFrame(r domain.Recorded) (*frame, error) {
	data, err := domain.MarshalShortCloudEvent(r)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", r.Position, err)
	}
	f := &frame{position: r.Position, kind: domain.EventType(r.Event), video: r.Stream}
	const around = len("id: 9223372036854775807\nevent: \ndata: \n\n")
	f.text = make([]byte, 0, len(data)+len(f.kind)+around)
	f.text = strconv.AppendInt(append(f.text, "id: "...), int64(r.Position), 10)
	f.text = append(append(f.text, "\nevent: "...), f.kind...)
	f.text = append(append(f.text, "\ndata: "...), data...)
	f.text = append(f.text, "\n\n"...)
	return f, nil
}

// join adds a follower, to news that begin after head where nobody else follows; nil when there are too many.
func (f *feed) join(ctx context.Context, who follower, head domain.Position) *news {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.current
	if n == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		n = &news{begin: head, head: head, changed: make(chan struct{}), followers: map[follower]struct{}{}, end: cancel}
		f.current = n
		go f.pump(ctx, n)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.followers) >= f.most {
		return nil
	}
	n.followers[who] = struct{}{}
	if who.wantsProgress() {
		n.progress++
	}
	return n
}

// leave takes a follower away; after the last one nobody reads the log.
func (f *feed) leave(n *news, who follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.followers, who)
	if who.wantsProgress() {
		n.progress--
	}
	if len(n.followers) == 0 {
		n.end()
		f.current = nil
	}
}

// pump reads the log for all followers until ctx ends.
func (f *feed) pump(ctx context.Context, n *news) {
	tick := time.NewTicker(f.tick)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	stopping, failing := f.stopping, false
	videos := &inWork{history: f.history, rows: map[domain.VideoID]projections.Video{}}
	for at := n.head; ; {
		frames, err := f.readNews(ctx, at, n, videos)
		if err != nil && ctx.Err() == nil && !failing {
			f.logger.ErrorContext(ctx, "the live feed cannot read the log", "position", at, "error", err)
		}
		failing = err != nil
		if len(frames) > 0 {
			at = frames[len(frames)-1].position
			pause.Reset(n.add(frames))
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-stopping: // the followers leave by themselves, but for those who wait for a slow client
			n.cutAll()
			stopping = nil
		case <-f.appended:
		case <-tick.C:
		}
	}
}

func (f *feed) readNews(ctx context.Context, after domain.Position, n *news, videos *inWork) ([]*frame, error) {
	events, err := f.log.ReadAfter(ctx, after, newsBatch)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	frames := make([]*frame, len(events))
	for i, e := range events {
		if frames[i], err = newFrame(e); err != nil {
			return nil, err
		}
	}
	if !n.wantProgress() {
		clear(videos.rows) // they would miss events
		return frames, nil
	}
	said, err := videos.after(ctx, events)
	if err != nil { // the events are what matters
		f.logger.ErrorContext(ctx, "the live feed cannot tell how far videos are", "position", after, "error", err)
	}
	for i := range said {
		frames[i].progress = said[i]
	}
	return frames, nil
}

// readBehind reads what is no longer kept, for one follower. Frames of events that are not wanted have no text.
func (f *feed) readBehind(ctx context.Context, after domain.Position, wants func(kind, video string) bool) ([]*frame, error) {
	select {
	case f.behind <- struct{}{}:
		defer func() { <-f.behind }()
	case <-f.stopping:
		return nil, context.Canceled
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	events, err := f.log.ReadAfter(ctx, after, behindBatch)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	frames := make([]*frame, len(events))
	for i, e := range events {
		if kind := domain.EventType(e.Event); !wants(kind, e.Stream) {
			frames[i] = &frame{position: e.Position}
		} else if frames[i], err = newFrame(e); err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// follower is somebody who is told of news.
type follower interface {
	// cut ends what keeps it waiting for a slow client, when the server stops.
	cut()
	// wantsProgress says whether it is to be told how far videos are.
	wantsProgress() bool
}

// news are the newest events, and who follows them.
type news struct {
	end context.CancelFunc

	mu        sync.Mutex
	followers map[follower]struct{}
	progress  int      // of them, want to be told of it
	kept      []*frame // those after begin, up to head, none left out
	size      int
	begin     domain.Position
	head      domain.Position
	changed   chan struct{} // closed when head moves
}

// add tells the followers, and returns how long to let them work.
func (n *news) add(frames []*frame) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range frames {
		n.kept, n.size, n.head = append(n.kept, f), n.size+len(f.text)+len(f.progress), f.position
	}
	for len(n.kept) > keptFrames || n.size > keptBytes {
		n.begin, n.size = n.kept[0].position, n.size-len(n.kept[0].text)-len(n.kept[0].progress)
		n.kept = n.kept[1:]
	}
	close(n.changed)
	n.changed = make(chan struct{})
	return max(wakePause, time.Duration(len(n.followers))*wakeCost)
}

// after returns the events after a position that are kept, and what tells of more; ok is false when some are no longer.
// Nobody may change what it returns.
func (n *news) after(at domain.Position) (frames []*frame, changed <-chan struct{}, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at < n.begin {
		return nil, nil, false
	}
	skip := min(int(at-n.begin), len(n.kept))
	return n.kept[skip:len(n.kept):len(n.kept)], n.changed, true
}

// first is the position after which events are kept.
func (n *news) first() domain.Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.begin
}

func (n *news) wantProgress() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.progress > 0
}

func (n *news) cutAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for who := range n.followers {
		who.cut()
	}
}
