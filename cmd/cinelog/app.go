package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/adapters/localfs"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// The flow, and the order in which openApp puts it together:
//
//	client ─ web ─► commands.Service: load, decide, append ─► EVENT LOG (SQLite), one gapless global order
//	                    ▲                                        │ read after position
//	                    │                    ┌───────────────────┼──────────────────────────┐
//	                    │                    ▼                   ▼                          ▼
//	                    │             bus.Relay publishes   projections.Catalog/Playback   projections.Analytics
//	                    │                    │                   ▼                          ▼
//	                    │       Watermill: SQLite queues    read models (SQLite)       ◄─ web: GET, search
//	                    │          ┌─────────┴───────┬─────────────────┐ (a message wakes a projection; the log decides)
//	                    │          ▼                 ▼                 ▼
//	                    └─ commands.Transcoding   analytics, any other subscriber (own queue each)
//	                         │ tasks, by lease
//	                         ▼
//	                       workers: FFmpeg in a cage ─► blobs (directory) ─► client plays straight from storage

// config is what openApp needs to know.
type config struct {
	data    string
	listen  string
	anyPort bool // take a free port when the address is in use
	log     *slog.Logger
}

// Consumer groups of the topic of events, each with a queue of its own.
const (
	groupTranscoding = "transcoding"
	groupProjector   = "projector"
	groupAnalytics   = "analytics"
	groupWorkers     = "workers"
)

// tick wakes relay and projections when no message does, so that reads stay fresh whatever becomes of a message.
const tick = 2 * time.Second

// app is a running server.
type app struct {
	config

	listener net.Listener
	server   *http.Server
	service  *commands.Service
	parts    []func(context.Context) error // each runs until the context ends
	closers  []io.Closer                   // in the order of opening
}

// openApp opens everything and starts nothing.
func openApp(ctx context.Context, cfg config) (_ *app, err error) {
	a := &app{config: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	release, err := lockData(cfg.data)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, closer(release))

	// Write side: the log and the media.
	log, err := sqlite.OpenLog(ctx, cfg.data)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, log)
	blobs, err := localfs.Open(filepath.Join(cfg.data, "blobs"))
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, blobs)
	appended := make(chan struct{}, 1)
	a.service = &commands.Service{
		Log: log, Blobs: blobs, Now: time.Now, MaxSourceBytes: maxSourceBytes,
		Appended: func(domain.Position) { signalTo(appended) },
	}

	// The bus: the relay publishes every event into a queue of each group.
	busDB, err := sqlite.OpenDB(ctx, filepath.Join(cfg.data, "bus.db"), sqlite.Normal)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, busDB)
	queues, err := bus.Open(ctx, busDB, bus.Options{Log: cfg.log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, queues)
	for _, group := range []string{groupTranscoding, groupProjector, groupAnalytics} {
		if err := queues.DeclareGroup(ctx, bus.TopicEvents, group); err != nil {
			return nil, err
		}
	}
	if err := queues.DeclareGroup(ctx, bus.TopicTasks, groupWorkers); err != nil {
		return nil, err
	}
	a.part(func(ctx context.Context) error {
		return projections.Run(ctx, log, queues.Relay("relay"), appended, tick, nil)
	})

	// The policy, and the workers with their FFmpeg.
	owner, err := filepath.Abs(cfg.data)
	if err != nil {
		return nil, err
	}
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{Log: cfg.log, Owner: owner})
	if err != nil {
		return nil, err
	}
	policy := &commands.Transcoding{Service: a.service, Tasks: bus.NewTasks(queues.Publisher())}
	a.events(queues, groupTranscoding, policy.Handle)
	a.deadLetters(queues, bus.TopicEvents, groupTranscoding, func(ctx context.Context, l bus.DeadLetter) error {
		e, err := domain.UnmarshalCloudEvent(l.Payload)
		if err != nil {
			return nil //nolint:nilerr // not an event of this program: nobody waits for it
		}
		return policy.GiveUp(ctx, e)
	})
	slots := max(1, runtime.NumCPU())
	worker := &commands.Worker{Service: a.service, Encoder: encoder, Log: cfg.log, Slots: slots}
	a.part(func(ctx context.Context) error {
		return bus.ConsumeTasks(ctx, bus.Consumer{Subscriber: queues.Subscriber(groupWorkers), Concurrency: slots, Log: cfg.log}, worker.Handle)
	})

	a.deadLetters(queues, bus.TopicTasks, groupWorkers, func(ctx context.Context, l bus.DeadLetter) error {
		if task, ok := bus.DeadTask(l); ok {
			return worker.GiveUp(ctx, task, l.Attempts)
		}
		return nil
	})

	// What an earlier process left in storage: the lock on the data folder makes this one the only one to store.
	a.part(func(ctx context.Context) error {
		if err := worker.SweepAll(ctx); err != nil && ctx.Err() == nil {
			cfg.log.Warn("storage could not be swept; the next start tries again", "error", err)
		}
		return nil
	})

	// Read side: a message wakes a projection, the log decides.
	catalog, err := sqlite.OpenCatalog(ctx, cfg.data)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, catalog)
	playback, err := sqlite.OpenRows(ctx, cfg.data, projections.PlaybackModel())
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, playback)
	fresh := freshness{projections.NewFreshness(), projections.NewFreshness()}
	wake := []chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	for i, target := range []projections.Target{
		projections.NewReadModel(projections.CatalogModel(), catalog.Rows),
		projections.NewReadModel(projections.PlaybackModel(), playback),
	} {
		a.part(func(ctx context.Context) error {
			return projections.Run(ctx, log, target, wake[i], tick, fresh[i].Advance)
		})
	}
	a.events(queues, groupProjector, func(context.Context, domain.Recorded) error {
		for _, w := range wake {
			signalTo(w)
		}
		return nil
	})
	analytics, err := sqlite.OpenAnalytics(ctx, cfg.data)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, analytics)
	a.part(func(ctx context.Context) error {
		if err := analytics.CatchUp(ctx, log); err != nil && ctx.Err() == nil { // the figures lack something, nothing else does
			cfg.log.ErrorContext(ctx, "figures of the past cannot be taken from the log", "error", err)
		}
		return nil
	})
	a.events(queues, groupAnalytics, func(ctx context.Context, e domain.Recorded) error {
		return projections.RecordEvents(ctx, analytics, e)
	})

	// HTTP.
	if a.listener, err = listen(ctx, cfg.listen, cfg.anyPort); err != nil {
		return nil, err
	}
	a.server = web.NewHTTPServer(a.listener.Addr().String(), web.New(web.Server{
		Commands: a.service, Catalog: catalog, Playbacks: projections.NewPlaybacks(playback), Freshness: fresh,
		Multivariant: projections.Multivariant, MediaPlaylist: projections.MediaPlaylist, Media: blobs,
		Analytics: analytics, Now: time.Now, Log: cfg.log, Version: version(),
		Hosts: []string{a.listener.Addr().String()}, MaxSourceBytes: maxSourceBytes,
	}))
	return a, nil
}

// maxSourceBytes is the largest file that is taken: 64 GiB.
const maxSourceBytes = 64 << 30

// part adds something that runs until the context ends.
func (a *app) part(run func(context.Context) error) { a.parts = append(a.parts, run) }

// events adds a consumer group of the topic of events.
func (a *app) events(queues *bus.Queues, group string, handle func(context.Context, domain.Recorded) error) {
	a.part(func(ctx context.Context) error {
		return bus.ConsumeEvents(ctx, bus.Consumer{Subscriber: queues.Subscriber(group), Log: a.log}, handle)
	})
}

// deadLetters adds somebody who draws the consequences when a consumer group gives up on a message.
func (a *app) deadLetters(
	queues *bus.Queues, topic, group string, handle func(context.Context, bus.DeadLetter) error,
) {
	a.part(func(ctx context.Context) error { return queues.WatchDeadLetters(ctx, topic, group, handle) })
}

func (a *app) url() string { return "http://" + a.listener.Addr().String() }

// run serves until ctx ends, then stops: no new requests, the running ones get a moment, then the parts end.
func (a *app) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range a.parts {
		g.Go(func() error {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := a.server.Shutdown(ctx); err != nil {
			return a.server.Close()
		}
		return nil
	})
	return errors.Join(g.Wait(), a.close())
}

// drainTime is how long requests may take to end when the server stops.
const drainTime = 5 * time.Second

func (a *app) close() error {
	var errs []error
	if a.listener != nil {
		_ = a.listener.Close() // closed already where the server ran
	}
	for _, v := range slices.Backward(a.closers) {
		errs = append(errs, v.Close())
	}
	a.closers = nil
	return errors.Join(errs...)
}

type closer func()

func (c closer) Close() error { c(); return nil }

// signalTo wakes a waiter; one signal that waits is enough.
func signalTo(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// freshness waits for several read models.
type freshness []*projections.Freshness

// Wait returns when all have applied the event at p.
func (f freshness) Wait(ctx context.Context, p domain.Position) error {
	for _, one := range f {
		if err := one.Wait(ctx, p); err != nil {
			return fmt.Errorf("wait for position %d: %w", p, err)
		}
	}
	return nil
}
