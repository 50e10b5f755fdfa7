package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// invariant is one thing that must hold. It looks at everything, or at one video; what it finds in a video while a server is at
// work on it may be gone at the second look.
type invariant struct {
	name  string
	is    string // as docs/operations.md lists them
	whole func(context.Context, *audit) ([]finding, error)
	video func(context.Context, *audit, *auditedVideo) ([]finding, error)
}

// invariants are all of them, in the order in which they are reported.
func invariants() []invariant {
	return []invariant{
		{name: "log", is: "I1", whole: checkChain},
		{name: "transitions", is: "I3", video: checkTransitions},
		{name: "media", is: "I4", video: checkMedia},
		{name: "playlists", is: "I4", video: checkPlaylists},
		{name: "orphans", is: "I5", video: checkOrphans, whole: checkStrangers},
		{name: "temporary", is: "I5", whole: checkTemporary},
		{name: "read models", is: "I6", whole: checkModels},
		{name: "checkpoints", is: "I7", whole: checkCheckpoints},
		{name: "messages", is: "I8 I11", whole: checkMessages},
		{name: "in work", is: "I13", video: checkInWork},
		{name: "webhooks", is: "I16", whole: checkWebhooks},
	}
}

// audit holds log, read models, media and messages against each other. Video by video, so that it needs no more memory than
// the largest video and the list of their ids.
type audit struct {
	verifyCmd

	log    logReader
	store  media
	views  views
	opened *opener
	bus    messageBus // nil where it cannot be looked at
	noBus  string     // and why

	started time.Time
	ended   time.Time
	known   map[string]bool // videos
	videos  int
	files   int
	head    domain.Position
	models  []verifiedModel
	done    []checked
}

// auditedVideo is one video, at one moment.
type auditedVideo struct {
	id     domain.VideoID
	events []domain.Recorded
	video  domain.Video
	stored []commands.StoredBlob
	files  int // that are as they must be
}

func (v verifyCmd) audit(ctx context.Context, opened *opener) (a *audit, err error) {
	a = &audit{verifyCmd: v, opened: opened, started: time.Now(), known: map[string]bool{}}
	if a.log, err = opened.readLog(ctx); err != nil {
		return nil, err
	}
	if a.store, err = opened.openBlobs(ctx); err != nil {
		return nil, err
	}
	if a.views, err = opened.openViews(ctx); err != nil {
		return nil, err
	}
	if a.bus, err = opened.existingBus(ctx); err != nil && ctx.Err() == nil {
		a.noBus, err = err.Error(), nil
	}
	return a, err
}

// run does all checks, those of videos in one go.
func (a *audit) run(ctx context.Context) error {
	all := invariants()
	a.done = make([]checked, len(all))
	for i, c := range all {
		a.done[i] = checked{Name: c.name, Invariants: c.is, Findings: []finding{}}
		if a.bus == nil && (c.name == "messages" || c.name == "in work") {
			a.done[i].Skipped = a.noBus
		}
	}
	if err := a.eachVideo(ctx, all); err != nil {
		return err
	}
	for i, c := range all {
		if c.whole == nil || a.done[i].Skipped != "" {
			continue
		}
		began := time.Now()
		found, err := c.whole(ctx, a)
		if err != nil {
			return fmt.Errorf("check %s: %w", c.name, err)
		}
		a.found(i, found, time.Since(began))
	}
	a.ended = time.Now()
	var err error
	a.head, err = a.log.Head(ctx)
	return err
}

func (a *audit) found(i int, found []finding, took time.Duration) {
	for _, f := range found {
		f.Check = a.done[i].Name
		a.done[i].Findings = append(a.done[i].Findings, f)
	}
	a.done[i].Seconds += took.Seconds()
}

func (a *audit) eachVideo(ctx context.Context, all []invariant) error {
	ids, err := a.log.Streams(ctx)
	if err != nil {
		return err
	}
	a.videos = len(ids)
	for _, id := range ids {
		a.known[id] = true
		if err := a.oneVideo(ctx, all, domain.VideoID(id)); err != nil {
			return fmt.Errorf("check video %s: %w", id, err)
		}
	}
	return nil
}

// oneVideo checks a video, and what was found wrong once more: a server may be at work on it.
func (a *audit) oneVideo(ctx context.Context, all []invariant, id domain.VideoID) error {
	v, err := a.load(ctx, id)
	if err != nil {
		return err
	}
	for i, c := range all {
		if c.video == nil || a.done[i].Skipped != "" {
			continue
		}
		began := time.Now()
		found, err := c.video(ctx, a, v)
		if err == nil && len(found) > 0 {
			if v, err = a.load(ctx, id); err == nil {
				found, err = c.video(ctx, a, v)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		a.found(i, found, time.Since(began))
	}
	a.files += v.files
	return nil
}

// load reads a video: first its events, so that what they name was stored before.
func (a *audit) load(ctx context.Context, id domain.VideoID) (*auditedVideo, error) {
	events, err := a.log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return nil, err
	}
	v := &auditedVideo{id: id, events: events, video: domain.LoadVideo(events)}
	for _, prefix := range commands.BlobPrefixes(id) {
		err := a.store.List(ctx, prefix, func(b commands.StoredBlob) error {
			v.stored = append(v.stored, b)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// old tells what was there before anything that may still be in somebody's hands.
func (a *audit) old(unix int64) bool { return unix <= a.started.Add(-a.Grace).Unix() }

// repair mends what it can, in the order of the checks.
func (a *audit) repair(ctx context.Context, dry bool) error {
	for i := range a.done {
		for j := range a.done[i].Findings {
			f := &a.done[i].Findings[j]
			if f.mend == nil {
				continue
			}
			done, err := f.mend(ctx, dry)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			f.Repair, f.mended = done, err == nil && !dry
			if dry {
				f.Repair = "would " + done
			}
			if err != nil {
				f.Error = err.Error()
			}
		}
	}
	return nil
}

func (a *audit) report() verified {
	r := verified{
		Started: a.started.UTC(), Seconds: a.ended.Sub(a.started).Seconds(), Events: int64(a.head), Videos: a.videos, Files: a.files, Checks: a.done, Models: a.models,
	}
	for _, c := range a.done {
		for _, f := range c.Findings {
			switch {
			case f.Notice:
				r.Notices++
			case !f.mended:
				r.Wrong++
			}
		}
	}
	return r
}

func checkChain(ctx context.Context, a *audit) (found []finding, err error) {
	wrong, err := a.log.VerifyChain(ctx)
	for _, w := range wrong {
		found = append(found, finding{What: w, Hint: "restore the log from a backup: it is the only truth"})
	}
	return found, err
}

// checkTransitions folds a video.
func checkTransitions(_ context.Context, _ *audit, v *auditedVideo) (found []finding, _ error) {
	var at domain.Video
	for _, r := range v.events {
		if err := at.Admits(r.Event); err != nil {
			found = append(found, finding{
				What: fmt.Sprintf("event %d, %s of video %s, cannot follow: %v", r.Position, domain.EventType(r.Event), v.id, err),
				Hint: "somebody has written to the log past its rules: find out who; every reader takes the event as it is",
			})
		}
		at = at.Evolve(r)
	}
	return found, nil
}

// checkModels folds the log anew.
func checkModels(ctx context.Context, a *audit) (found []finding, err error) {
	beyond, err := a.beyond(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range readModels() {
		if slices.Contains(beyond, name) { // there is nothing to compare with
			continue
		}
		result, err := a.views.model(name).Verify(ctx, a.log, nil)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		a.models = append(a.models, verifiedModel{name, int64(result.Position), result.Rows, result.Hash, result.LiveHash, result.Equal()})
		if !result.Equal() {
			found = append(found, finding{
				What: name + ": " + comparison(result.New, result.Different, result.Position), Hint: "rebuild it: cinelog replay all",
				mend: a.rebuilding(name),
			})
		}
	}
	return found, nil
}

// rebuilding mends a read model.
func (a *audit) rebuilding(name string) mending {
	return func(ctx context.Context, dry bool) (string, error) {
		if dry {
			return "rebuild " + name, nil
		}
		replay, err := newReplay(name, projections.ReplayRebuild, 0)
		if err != nil {
			return "", err
		}
		doing := &replaying{log: a.log, views: a.views}
		done, err := doing.run(ctx, replay, true, nil, nil)
		return fmt.Sprintf("rebuilt %s from the log up to %d, %d rows", name, done.Position, done.Rows), err
	}
}
