package commands

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/domain"
)

// Transcoding is the policy that carries a video through the pipeline: it reacts to each event with a command or with
// tasks. It holds no state, so any event may come twice, late, or after newer ones.
type Transcoding struct {
	Service  *Service
	Tasks    Tasks
	Encoding domain.Encoding // for videos that ask for no other
}

// TranscodingEvents are the types of the events that Transcoding reacts to; the others need not be sent to it.
func TranscodingEvents() []string {
	return []string{
		"video.uploaded.v1", "video.transcode_requested.v1", "video.source_inspected.v1", "video.source_rejected.v1",
		"video.transcode_planned.v1", "video.rendition_produced.v1", "video.storyboard_produced.v1", "video.transcode_failed.v1",
		"video.deleted.v1",
	}
}

// Handle reacts to one event. After an error the same event may be handed in again.
func (p *Transcoding) Handle(ctx context.Context, r domain.Recorded) error {
	id := r.VideoID()
	switch e := r.Event.(type) {
	case domain.VideoUploaded:
		return p.inspect(ctx, id, e.Attempt)
	case domain.TranscodeRequested:
		return p.inspect(ctx, id, e.Attempt)
	case domain.SourceInspected:
		return p.plan(ctx, r, e.Attempt)
	case domain.TranscodePlanned:
		return p.encode(ctx, id, e)
	case domain.RenditionProduced:
		return p.complete(ctx, id, e)
	case domain.StoryboardProduced:
		return p.sweep(ctx, id, e.Attempt) // what other runs of the same task left
	case domain.SourceRejected:
		return p.sweep(ctx, id, e.Attempt)
	case domain.TranscodeFailed:
		return p.sweep(ctx, id, e.Attempt)
	case domain.VideoDeleted:
		return p.sweep(ctx, id, 0)
	case domain.VideoCreated, domain.VideoDetailsChanged, domain.PlaybackPolicyChanged, domain.ChunkTranscoded,
		domain.SourceRemuxed, domain.AudioTranscoded, domain.AudioLeftOut, domain.PosterProduced, domain.PreviewProduced, domain.VideoPublished,
		domain.VideoUnpublished, domain.CaptionAdded, domain.CaptionRemoved, domain.VideoErased:
	}
	return nil
}

// GiveUp ends the attempt that an event belongs to, so that no video stays in work for ever: the event could not be
// handled and will not come again. It may be told so more than once.
func (p *Transcoding) GiveUp(ctx context.Context, r domain.Recorded) error {
	attempt := 0
	switch e := r.Event.(type) { //nolint:gochecksumtype // no other event leads to work that an attempt needs
	case domain.VideoUploaded:
		attempt = e.Attempt
	case domain.TranscodeRequested:
		attempt = e.Attempt
	case domain.SourceInspected:
		attempt = e.Attempt
	case domain.TranscodePlanned:
		attempt = e.Attempt
	default:
		return nil
	}
	return p.decide(ctx, r, func(v domain.Video) ([]domain.Event, error) {
		return v.FailTranscode(attempt, domain.Failure{
			Code: domain.Internal, Detail: fmt.Sprintf("reacting to %s failed too often", domain.EventType(r.Event)),
		})
	})
}

func (p *Transcoding) inspect(ctx context.Context, id domain.VideoID, attempt int) error {
	v, err := p.Service.load(ctx, id)
	if err != nil {
		return err
	}
	if !v.InWork() || v.Attempt != attempt || v.Run.Source != nil {
		return nil
	}
	return p.send(ctx, Task{Kind: TaskInspect, Video: id, Attempt: attempt, Priority: PriorityFirst})
}

func (p *Transcoding) plan(ctx context.Context, r domain.Recorded, attempt int) error {
	return p.decide(ctx, r, func(v domain.Video) ([]domain.Event, error) { return v.PlanTranscode(attempt, p.Encoding) })
}

// decide makes a decision because of an event. One that comes too late changes nothing.
func (p *Transcoding) decide(ctx context.Context, r domain.Recorded, d func(domain.Video) ([]domain.Event, error)) error {
	commitID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a commit id: %w", err)
	}
	meta := domain.Meta{
		Actor: "policy", Correlation: r.Meta.Correlation, Causation: strconv.FormatInt(int64(r.Position), 10),
	}
	_, err = p.Service.decide(ctx, r.VideoID(), meta, commitID.String(), d)
	if errors.Is(err, domain.ErrSuperseded) {
		return nil
	}
	return err
}

// encode sends what is still to be done of a plan.
func (p *Transcoding) encode(ctx context.Context, id domain.VideoID, e domain.TranscodePlanned) error {
	v, err := p.Service.load(ctx, id)
	if err != nil {
		return err
	}
	tasks := pieces(v, e)
	if len(tasks) == 0 {
		return nil
	}
	return p.send(ctx, tasks...)
}

// pieces lists the tasks that are still to be done of a plan. What an open plan has beside its rungs is done because of it,
// and the chunks because of the plan that follows it.
func pieces(v domain.Video, e domain.TranscodePlanned) (tasks []Task) {
	attempt := e.Attempt
	if !v.InWork() || v.Attempt != attempt || v.Run.Plan == nil {
		return nil
	}
	id := v.ID
	remuxed := v.Run.Plan.Remuxed() != nil
	follows := e.Plan.Complexity != nil
	if v.NeedsRemux(attempt) == nil && !follows {
		tasks = append(tasks, Task{Kind: TaskRemux, Video: id, Attempt: attempt, Priority: PriorityFirst})
	}
	if v.NeedsMeasure(attempt) == nil {
		priority := PriorityFirst
		if remuxed {
			priority = PrioritySoon
		}
		tasks = append(tasks, Task{Kind: TaskMeasure, Video: id, Attempt: attempt, Priority: priority})
	}
	for chunk := range v.Run.Plan.Chunks {
		if e.Plan.Open || v.NeedsChunk(attempt, chunk) != nil {
			continue
		}
		priority := PrioritySoon - bits.Len(uint(chunk))
		if chunk == 0 && !remuxed { // else nobody waits for it
			priority = PriorityFirst
		}
		tasks = append(tasks, Task{Kind: TaskChunk, Video: id, Attempt: attempt, Chunk: chunk, Priority: priority})
	}
	for track := range v.Run.Audio {
		audio := Task{Kind: TaskAudio, Video: id, Attempt: attempt, Track: track, Priority: PriorityRest}
		switch {
		case follows, v.NeedsAudio(attempt, track) != nil:
		case track == 0:
			audio.Priority = PriorityFirst
			tasks = slices.Insert(tasks, min(1, len(tasks)), audio)
		default: // players begin with the first
			tasks = append(tasks, audio)
		}
	}
	if v.NeedsCaptions(attempt) == nil && !follows {
		tasks = append(tasks, Task{Kind: TaskCaptions, Video: id, Attempt: attempt, Priority: PriorityRest})
	}
	return tasks
}

// complete sweeps once for a run, with the last of its renditions, and has previews made of it.
func (p *Transcoding) complete(ctx context.Context, id domain.VideoID, e domain.RenditionProduced) error {
	v, err := p.Service.load(ctx, id)
	if err != nil {
		return err
	}
	if v.Attempt != e.Attempt || v.Run.Plan == nil || v.Run.Plan.Rungs[len(v.Run.Plan.Rungs)-1].Name != e.Name {
		return nil
	}
	if v.NeedsPreviews(e.Attempt) == nil {
		if err := p.send(ctx, Task{Kind: TaskPreview, Video: id, Attempt: e.Attempt, Priority: PriorityRest}); err != nil {
			return err
		}
	}
	return p.sweep(ctx, id, e.Attempt)
}

func (p *Transcoding) sweep(ctx context.Context, id domain.VideoID, attempt int) error {
	return p.send(ctx, Task{Kind: TaskSweep, Video: id, Attempt: attempt, Priority: PriorityRest})
}

func (p *Transcoding) send(ctx context.Context, tasks ...Task) error {
	if err := p.Tasks.Send(ctx, tasks...); err != nil {
		return fmt.Errorf("send %d tasks for video %s: %w", len(tasks), tasks[0].Video, err)
	}
	return nil
}
