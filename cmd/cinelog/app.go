package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/webhook"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
	"github.com/cinelog/cinelog/webhooks"
)

// The flow, and the order in which openApp puts it together:
//
//	client ─ web ─► commands.Service: load, decide, append ─► EVENT LOG (SQLite | MongoDB), one gapless global order
//	                    ▲                                        │ read after position
//	                    │                    ┌───────────────────┼──────────────────────────┐
//	                    │                    ▼                   ▼                          ▼
//	                    │       messaging.Relay publishes   projections.Catalog/Playback   projections.Analytics
//	                    │                    │                   ▼                          ▼
//	                    │       Watermill: SQLite queues │ SNS─►SQS   read models (SQLite | MongoDB) ◄─ web: GET, search
//	                    │          ┌─────────┴───────┬─────────────────┐ (a message wakes a projection; the log decides)
//	                    │          ▼                 ▼                 ▼
//	                    └─ commands.Transcoding   analytics, any other subscriber (own queue each)
//	                         │ tasks, by lease
//	                         ▼
//	                       workers: FFmpeg in a cage ─► blobs (directory | S3) ─► client plays straight from storage

// config is what openApp needs to know.
type config struct {
	places

	roles    []string // all of them when empty
	listen   string
	anyPort  bool // take a free port when the address is in use
	hosts    []string
	cpus     int             // to encode with; all that the machine has when 0
	encoding domain.Encoding // for videos that ask for no other
	private  bool            // webhooks may go to this machine and its networks, too
	audience
	log *slog.Logger

	// What becomes of messages; each has a default when 0.
	lease time.Duration // how long a message stays with a process that gives no sign of life
	tries int           // how often one is handled before it is a dead letter
}

// audience is what is said about views.
type audience struct {
	CountryHeader string `help:"Header in which a proxy before the server says the viewer's country, in two letters; without it no country is known." env:"CINELOG_COUNTRY_HEADER" placeholder:"NAME"`
	AddressHeader string `help:"Header in which a proxy before the server says the viewer's address, last in a list; without it the connection's counts." env:"CINELOG_ADDRESS_HEADER" placeholder:"NAME"`
	PlaysDays     int    `help:"For how many days views are kept." default:"400" env:"CINELOG_PLAYS_DAYS" placeholder:"N"`
	PlaysMost     int    `help:"How many views are kept at most; the oldest are forgotten." default:"10000000" env:"CINELOG_PLAYS_MOST" placeholder:"N"`
}

// Roles are what a process may do; each may be done by any number of processes.
const (
	roleAPI        = "api"        // commands and queries over HTTP, and the page
	roleRelay      = "relay"      // publishes the log on the bus
	roleProjector  = "projector"  // keeps the read models up to date
	roleTranscoder = "transcoder" // decides on the pipeline, and encodes
	roleAnalytics  = "analytics"  // counts
	roleWebhooks   = "webhooks"   // tells others of events
)

// does tells whether this process has one of the roles.
func (c config) does(roles ...string) bool {
	return len(c.roles) == 0 || slices.ContainsFunc(c.roles, func(r string) bool { return slices.Contains(roles, r) })
}

// tick wakes relay and projections when no message does, so that reads stay fresh whatever becomes of a message. A
// relay hears of what other processes append by asking.
const (
	tick       = 2 * time.Second
	sharedTick = time.Second // where others append: a query waits twice as long for a position that it names
	relayTick  = 200 * time.Millisecond
)

// app is a running server.
type app struct {
	config

	listener net.Listener // nil without the role api
	server   *http.Server
	service  *commands.Service
	parts    []func(context.Context) error // each runs until the context ends
	opened   *opener

	eventLog eventLog
	alone    bool            // no other process appends to the log
	bells    []chan struct{} // rung when this process appends
	media    media
	encoder  *ffmpeg.Encoder // nil where there is no FFmpeg
	bus      messageBus
	views    views
	plays    projections.Plays // nil without the roles api and analytics
	fresh    web.Freshness
	admin    *admin
	hooks    *webhooks.Service // nil without the roles api and webhooks
	sender   *webhook.Sender
	rehook   chan struct{} // rung when this process changes an endpoint
	way      projections.RightOfWay
	pokes    map[string][]func() // has what follows the log ask at once what people have said about it
}

// openApp opens everything and starts nothing.
func openApp(ctx context.Context, cfg config) (_ *app, err error) {
	a := &app{config: cfg, opened: cfg.opener(cfg.log), pokes: map[string][]func(){}}
	a.opened.lease, a.opened.tries = cfg.lease, cfg.tries
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	release, err := lockData(cfg.Data)
	if err != nil {
		return nil, err
	}
	a.opened.closers = append(a.opened.closers, closer(release))
	if a.eventLog, a.alone, err = a.opened.openLog(ctx); err != nil {
		return nil, err
	}
	// What a role does not use may be away, and closed to it.
	if cfg.does(roleAPI, roleTranscoder) {
		if a.media, err = a.opened.openBlobs(ctx); err != nil {
			return nil, err
		}
	}
	if cfg.does(roleRelay, roleTranscoder, roleProjector, roleAnalytics) {
		if a.bus, err = a.opened.openBus(ctx); err != nil {
			return nil, err
		}
	}
	if a.views, err = a.opened.openViews(ctx); err != nil {
		return nil, err
	}
	if cfg.does(roleAPI, roleAnalytics) {
		if a.plays, err = a.opened.plays(ctx); err != nil {
			return nil, err
		}
	}
	a.admin = newAdmin(a)
	a.part(a.admin.work)
	a.service = &commands.Service{
		Log: a.eventLog, Blobs: a.media, Now: time.Now, MaxSourceBytes: maxSourceBytes,
		Appended: func(domain.Position) {
			for _, bell := range a.bells {
				signalTo(bell)
			}
		},
	}
	a.fresh = stored{a.views}
	if cfg.does(roleAPI, roleWebhooks) {
		if err := a.openWebhooks(ctx); err != nil {
			return nil, err
		}
	}
	for _, role := range []struct {
		name string
		add  func(context.Context) error
	}{
		{roleRelay, a.addRelay},
		{roleTranscoder, a.addTranscoder},
		{roleProjector, a.addProjector},
		{roleAnalytics, a.addAnalytics},
		{roleWebhooks, a.addWebhooks},
		{roleAPI, a.addAPI},
	} {
		if cfg.does(role.name) {
			if err := role.add(ctx); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

// onAppend returns what is rung when this process appends, and how long to wait where another one may have.
func (a *app) onAppend() (bell <-chan struct{}, every time.Duration) {
	b := make(chan struct{}, 1)
	a.bells = append(a.bells, b)
	if a.alone {
		return b, tick
	}
	return b, relayTick
}

// addRelay publishes every event into a queue of each group.
func (a *app) addRelay(context.Context) error {
	relay, err := a.bus.relay()
	if err != nil {
		return err
	}
	appended, every := a.onAppend()
	a.part(func(ctx context.Context) error {
		return projections.Run(ctx, a.eventLog, relay, appended, every, nil)
	})
	return nil
}

// addProjector keeps the read models up to date: a message wakes a projection, the log decides.
func (a *app) addProjector(ctx context.Context) error {
	every := sharedTick
	if a.alone {
		every = tick
	}
	var fresh freshness
	var wake []chan struct{}
	for _, p := range a.views.projected() {
		at, bell := projections.NewFreshness(), make(chan struct{}, 1)
		fresh, wake = append(fresh, at), append(wake, bell)
		runner := a.runner(p, bell, every, at.Advance)
		if a.alone { // then nobody else builds it, and no query may see it half built: after a restore
			runner.CatchUp(ctx)
		}
		a.part(runner.Run)
	}
	a.events(groupProjector, func(context.Context, domain.Recorded) error {
		for _, w := range wake {
			signalTo(w)
		}
		return nil
	})
	a.fresh = fresh
	return nil
}

// addAnalytics counts what messages say, and what was before the first of them.
func (a *app) addAnalytics(context.Context) error {
	a.addPlays()
	a.whileNotPaused(projections.AnalyticsName, func(ctx context.Context, skips *projections.Skips) error {
		a.figuresOfThePast(ctx, skips)
		return messaging.ConsumeEvents(ctx, messaging.Consumer{Subscriber: a.bus.Subscriber(groupAnalytics), Log: a.log}, a.eventLog,
			func(ctx context.Context, e domain.Recorded) error {
				return projections.RecordEvents(ctx, a.views.figures, projections.Given([]domain.Recorded{e}, skips.Has)...)
			})
	})
	return nil
}

func (a *app) addAPI(ctx context.Context) (err error) {
	if a.listener, err = listen(ctx, a.listen, a.anyPort); err != nil {
		return err
	}
	var frames web.Frames
	if a.encoder == nil {
		if a.encoder, err = ffmpeg.New(ctx, ffmpeg.Options{Log: a.log, Threads: 1}); err != nil {
			a.log.WarnContext(ctx, "there are no thumbnails at a given time", "reason", err)
		}
	}
	if a.encoder != nil {
		frames = a.encoder
	}
	address := a.listener.Addr().String()
	appended, every := a.onAppend()
	stopping := make(chan struct{})
	a.server = web.NewHTTPServer(address, web.New(web.Server{
		Commands: a.service, Catalog: a.views.catalog, Playbacks: projections.NewPlaybacks(a.views.playback),
		Freshness: a.fresh, Multivariant: projections.Multivariant, MediaPlaylist: projections.MediaPlaylist, Manifest: projections.Manifest,
		Media: a.media, MediaURL: a.media.url, MediaOrigin: a.media.origin,
		Analytics: a.views.figures, Plays: a.plays, Beacons: a.beacons(), AddressHeader: a.AddressHeader, CountryHeader: a.CountryHeader, Ready: a.opened.ready, Now: time.Now, Log: a.log, Version: version(),
		Hosts: append([]string{address}, a.hosts...), MaxSourceBytes: maxSourceBytes,
		Frames: frames, Projections: a.admin, DeadLetters: a.letters(), Answering: a.way.Answering,
		Eraser:   newEraser(a.service, a.eventLog, a.views, a.bus),
		Webhooks: a.hooks, Events: a.eventLog, Appended: appended, EventsTick: every, Stopping: stopping,
	}))
	a.server.RegisterOnShutdown(sync.OnceFunc(func() { close(stopping) }))
	return nil
}

// maxSourceBytes is the largest file that is taken: 64 GiB.
const maxSourceBytes = 64 << 30

// part adds something that runs until the context ends.
func (a *app) part(run func(context.Context) error) { a.parts = append(a.parts, run) }

// events adds a consumer group of the topic of events.
func (a *app) events(group string, handle func(context.Context, domain.Recorded) error) {
	a.part(func(ctx context.Context) error {
		return messaging.ConsumeEvents(ctx, messaging.Consumer{Subscriber: a.bus.Subscriber(group), Log: a.log}, a.eventLog, handle)
	})
}

// deadLetters adds somebody who draws the consequences when a consumer group gives up on a message.
func (a *app) deadLetters(topic, group string, handle func(context.Context, messaging.DeadLetter) error) {
	a.part(func(ctx context.Context) error { return a.bus.WatchDeadLetters(ctx, topic, group, handle) })
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
	if a.server != nil {
		a.serve(ctx, g)
	}
	return errors.Join(g.Wait(), a.close())
}

func (a *app) serve(ctx context.Context, g *errgroup.Group) {
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
}

// drainTime is how long requests may take to end when the server stops.
const drainTime = 5 * time.Second

func (a *app) close() error {
	if a.listener != nil {
		_ = a.listener.Close() // closed already where the server ran
	}
	return a.opened.Close()
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
