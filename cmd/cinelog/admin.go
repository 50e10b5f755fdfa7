package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/web"
)

// overseer looks at the projections and says something to them: for the command line, and for the HTTP interface.
type overseer struct {
	log   projections.Log
	views views
}

func (o overseer) known(name string) error {
	if !slices.Contains(readModels(), name) {
		return fmt.Errorf("%w: there is no projection %q; there are %s", domain.ErrNotFound, name, strings.Join(readModels(), ", "))
	}
	return nil
}

// Projections implements web.Projections.
func (o overseer) Projections(ctx context.Context) (all []projections.Status, err error) {
	for _, name := range readModels() {
		s, err := o.Projection(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Projection implements web.Projections.
func (o overseer) Projection(ctx context.Context, name string) (s projections.Status, err error) {
	if err := o.known(name); err != nil {
		return s, err
	}
	replay, err := running(ctx, o.views.replays, name)
	if err != nil {
		return s, err
	}
	var model projections.StoredModel = o.views.model(name)
	if name == projections.AnalyticsName {
		model = pastOthers{model, o.log}
	}
	return projections.LookUp(ctx, name, versionOf(name), model, o.log, o.views.controls, replay, time.Now())
}

// pastOthers moves where the figures stand past the events that mean nothing for them: they are fed by messages, and such
// an event leaves no trace.
type pastOthers struct {
	projections.StoredModel

	log projections.Log
}

// lookAhead bounds how many events are looked at.
const lookAhead = 2000

// Stored implements projections.StoredModel.
func (p pastOthers) Stored(ctx context.Context) (projections.Stored, error) {
	s, err := p.StoredModel.Stored(ctx)
	if err != nil {
		return s, err
	}
	events, err := p.log.ReadAfter(ctx, s.Position, lookAhead)
	if err != nil {
		return s, nil //nolint:nilerr // what cannot be read is what it is behind by
	}
	for _, e := range events {
		if _, counts := projections.FactOf(e); counts {
			break
		}
		s.Position = e.Position
	}
	return s, nil
}

// Pause implements web.Projections.
func (o overseer) Pause(ctx context.Context, name string) error {
	if err := o.known(name); err != nil {
		return err
	}
	return o.views.controls.Pause(ctx, name, time.Now())
}

// Resume implements web.Projections.
func (o overseer) Resume(ctx context.Context, name string) error {
	if err := o.known(name); err != nil {
		return err
	}
	return o.views.controls.Resume(ctx, name)
}

// maxReason is how long a reason may be, in bytes.
const maxReason = 1000

// Skip implements web.Projections.
func (o overseer) Skip(ctx context.Context, name string, at domain.Position, reason string) error {
	if err := o.known(name); err != nil {
		return err
	}
	head, err := o.log.Head(ctx)
	if err != nil {
		return err
	}
	var wrong []domain.FieldError
	if at < 1 || at > head {
		wrong = append(wrong, domain.FieldError{Field: "position", Message: fmt.Sprintf("1 to %d, where the log ends", head)})
	}
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxReason {
		wrong = append(wrong, domain.FieldError{Field: "reason", Message: fmt.Sprintf("say why, in up to %d bytes", maxReason)})
	}
	if len(wrong) > 0 {
		return &domain.Invalid{Fields: wrong}
	}
	return o.views.controls.Skip(ctx, name, projections.Skip{Position: at, Reason: reason, Time: time.Now()})
}

// Replays implements web.Projections.
func (o overseer) Replays(ctx context.Context) ([]projections.Replay, error) {
	all, err := o.views.replays.Replays(ctx, 100)
	for i := range all {
		all[i] = all[i].At(time.Now())
	}
	return all, err
}

// Replay implements web.Projections.
func (o overseer) Replay(ctx context.Context, id string) (projections.Replay, error) {
	r, err := o.views.replays.Replay(ctx, id)
	return r.At(time.Now()), err
}

// Cancel implements web.Projections.
func (o overseer) Cancel(ctx context.Context, id string) error {
	r, err := o.Replay(ctx, id)
	if err != nil {
		return err
	}
	if r.State != projections.ReplayRunning {
		return fmt.Errorf("%w: replay %s is over: %s", domain.ErrNotAllowed, id, r.State)
	}
	return o.views.replays.Cancel(ctx, id)
}

// admin is an overseer within a server: what it is told takes effect at once here, and it does replays.
type admin struct {
	overseer

	app       *app
	replaying *replaying
	begin     chan func(context.Context) // work does these
}

var _ web.Projections = (*admin)(nil)

func newAdmin(a *app) *admin {
	return &admin{
		overseer: overseer{a.eventLog, a.views}, app: a, replaying: &replaying{log: a.eventLog, views: a.views, way: &a.way},
		begin: make(chan func(context.Context)),
	}
}

// Pause implements web.Projections.
func (a *admin) Pause(ctx context.Context, name string) error {
	defer a.poke(name)
	return a.overseer.Pause(ctx, name)
}

// Resume implements web.Projections.
func (a *admin) Resume(ctx context.Context, name string) error {
	defer a.poke(name)
	return a.overseer.Resume(ctx, name)
}

// Skip implements web.Projections.
func (a *admin) Skip(ctx context.Context, name string, at domain.Position, reason string) error {
	defer a.poke(name)
	return a.overseer.Skip(ctx, name, at, reason)
}

func (a *admin) poke(name string) {
	for _, poke := range a.app.pokes[name] {
		poke()
	}
}

// work does the replays that people ask for, until ctx ends.
func (a *admin) work(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case job := <-a.begin:
			working.Go(func() { job(ctx) })
		}
	}
}

// Start implements web.Projections: it returns when the replay has begun.
func (a *admin) Start(ctx context.Context, name string, dryRun bool, rate int) (projections.Replay, error) {
	if err := a.known(name); err != nil {
		return projections.Replay{}, err
	}
	kind := projections.ReplayRebuild
	if dryRun {
		kind = projections.ReplayDryRun
	}
	replay, err := newReplay(name, kind, rate)
	if err != nil {
		return replay, err
	}
	began, ended := make(chan projections.Replay, 1), make(chan error, 1)
	job := func(ctx context.Context) {
		_, err := a.replaying.run(ctx, replay, false, func(r projections.Replay) { began <- r }, nil)
		if err != nil && ctx.Err() == nil {
			a.app.log.WarnContext(ctx, "a replay has not come to its end", "projection", name, "replay", replay.ID, "error", err)
		}
		ended <- err
	}
	select {
	case a.begin <- job:
	case <-ctx.Done():
		return replay, ctx.Err()
	}
	select {
	case replay = <-began:
		return replay, a.views.replays.Put(ctx, replay) // so that whoever asks for it finds it
	case err := <-ended:
		return replay, err
	case <-ctx.Done():
		return replay, ctx.Err()
	}
}
