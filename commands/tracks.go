package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// A track is made in one piece and recorded part by part, so that it can be watched while it grows: the sound, and the
// source's own pictures.

// segmentsPerPart is how many segments of a track are recorded together, once the first is out: more would keep viewers
// waiting behind the video, fewer would fill the log.
const segmentsPerPart = 8

// track makes a track and records its parts. Segments that an earlier try recorded are made again, because the track is
// one piece, but neither stored nor recorded.
type track struct {
	name   string
	needed func(domain.Video) error
	done   func(domain.Video) domain.TrackRun
	make   func(ctx context.Context, path string, v domain.Video, out Output) error
	record func(domain.Video, domain.AudioTranscoded) ([]domain.Event, error)
	there  func(domain.Earlier) []domain.AudioTranscoded // what an earlier attempt has of it
}

func (w *Worker) audio(ctx context.Context, t Task) error {
	needed := func(v domain.Video) error { return v.NeedsAudio(t.Attempt, t.Track) }
	v, err := w.wanted(ctx, t, needed)
	if err != nil {
		return err
	}
	if t.Track == 0 && v.Run.Plan.FrameRate.Seconds(v.Run.Plan.Frames) > longSound {
		release, ok := w.soundPlace()
		if !ok {
			return w.beginSound(ctx, t, v)
		}
		defer release()
	}
	return w.track(ctx, t, track{
		name:   domain.AudioName(t.Track),
		needed: needed,
		done:   func(v domain.Video) domain.TrackRun { return v.Run.Audio[t.Track] },
		make: func(ctx context.Context, path string, v domain.Video, out Output) error {
			return w.Encoder.EncodeAudio(ctx, AudioJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan, Track: t.Track}, out)
		},
		record: func(v domain.Video, e domain.AudioTranscoded) ([]domain.Event, error) {
			e.Track = t.Track
			return v.RecordAudio(e)
		},
		there: func(e domain.Earlier) []domain.AudioTranscoded { return e.Audio(t.Track) },
	})
}

// beginSound makes the first seconds of the sound that players begin with, where there is no place for all of it: the video can be
// watched then. The task comes again for the rest.
func (w *Worker) beginSound(ctx context.Context, t Task, v domain.Video) (err error) {
	later := &PostponedError{After: soundWait}
	if v.Run.Audio[t.Track].Parts > 0 || v.Run.TakesOver { // which may have all of it
		return later
	}
	path, release, err := w.source(ctx, v)
	if err != nil {
		return err
	}
	defer release()
	out, err := newStoring(w.Service.Blobs, t, domain.AudioName(t.Track))
	if err != nil {
		return err
	}
	first := firstSegments{storing: out}
	defer w.tell(ctx, t, "the first of "+domain.AudioName(t.Track))(&err)
	needed := func(v domain.Video) error { return v.NeedsAudio(t.Attempt, t.Track) }
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		job := AudioJob{Path: path, Source: *v.Run.Source, Plan: twoSegments(*v.Run.Plan), Track: t.Track}
		return errors.Join(w.Encoder.EncodeAudio(ctx, job, &first), out.wait())
	})
	if err == nil && first.n > 0 {
		event := out.part(0, first.n)
		event.Attempt, event.Track = t.Attempt, t.Track
		err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordAudio(event) })
		if err != nil && !errors.Is(err, domain.ErrSuperseded) { // the log may name the blobs
			return err
		}
	}
	if err != nil || first.n == 0 {
		w.Service.discard(ctx, out.stored()...)
	}
	if err != nil && !errors.Is(err, domain.ErrSuperseded) {
		return err
	}
	return later
}

func (w *Worker) remux(ctx context.Context, t Task) error {
	return w.track(ctx, t, track{
		name:   domain.RemuxName,
		needed: func(v domain.Video) error { return v.NeedsRemux(t.Attempt) },
		done:   func(v domain.Video) domain.TrackRun { return v.Run.Remux },
		make: func(ctx context.Context, path string, v domain.Video, out Output) error {
			return w.Encoder.Remux(ctx, RemuxJob{Path: path, Source: *v.Run.Source, Plan: *v.Run.Plan}, out)
		},
		record: func(v domain.Video, e domain.AudioTranscoded) ([]domain.Event, error) {
			return v.RecordRemux(domain.SourceRemuxed{
				Attempt: e.Attempt, Part: e.Part, Init: e.Init, Codecs: e.Codecs, Segments: e.Segments, Final: e.Final,
			})
		},
		there: func(e domain.Earlier) (parts []domain.AudioTranscoded) {
			for _, p := range e.Remux() {
				parts = append(parts, domain.AudioTranscoded{Init: p.Init, Codecs: p.Codecs, Segments: p.Segments, Final: p.Final})
			}
			return parts
		},
	})
}

func (w *Worker) track(ctx context.Context, t Task, tr track) (err error) {
	v, err := w.wanted(ctx, t, tr.needed)
	if err != nil {
		return err
	}
	record := func(ctx context.Context, e domain.AudioTranscoded) error {
		return w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return tr.record(v, e) })
	}
	if kept, err := w.keepTrack(ctx, v, tr, record); kept || err != nil {
		return w.unfinished(ctx, t, tr, err)
	}
	path, release, err := w.source(ctx, v)
	if err != nil {
		return err
	}
	defer release()
	out, err := newStoring(w.Service.Blobs, t, tr.name)
	if err != nil {
		return err
	}
	parts := &trackParts{
		storing: out, skip: tr.done(v).Segments, next: tr.done(v).Parts, attempt: t.Attempt,
		record: record,
	}
	defer w.tell(ctx, t, tr.name)(&err)
	err = w.watched(ctx, v, tr.needed, func(ctx context.Context) error {
		return errors.Join(tr.make(ctx, path, v, parts), out.wait())
	})
	if err == nil && !parts.final {
		err = fmt.Errorf("the %s ended without its last segment", tr.name)
	}
	if err == nil {
		return nil
	}
	w.Service.discard(ctx, parts.unrecorded()...)
	return w.unfinished(ctx, t, tr, err)
}

// unfinished looks at the error of a track that is not done. Where another worker recorded a part first, and that is a
// zombie, nobody will record the rest unless this task comes again.
func (w *Worker) unfinished(ctx context.Context, t Task, tr track, err error) error {
	if errors.Is(err, domain.ErrSuperseded) {
		if _, check := w.wanted(ctx, t, tr.needed); check == nil {
			return fmt.Errorf("%s of video %s: another worker was faster: %w", tr.name, t.Video, domain.ErrConflict)
		}
	}
	return err
}

// trackParts is an Output that records segments in the order of their index, some at a time.
type trackParts struct {
	*storing

	record  func(context.Context, domain.AudioTranscoded) error
	attempt int
	skip    int // segments recorded before this run
	next    int // number of the next part

	mu       sync.Mutex
	pending  int // segments not recorded yet
	recorded int // segments recorded by this run
	unsure   bool
	final    bool
}

// Segment implements Output.
func (a *trackParts) Segment(ctx context.Context, rendition string, s MediaSegment) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Index < a.skip && !s.Last {
		return nil
	}
	if s.Index >= a.skip {
		if err := a.storing.Segment(ctx, rendition, s); err != nil {
			return err
		}
		a.pending++
	}
	if !s.Last && a.pending < segmentsPerPart && a.skip+a.recorded > 0 {
		return nil
	}
	if err := a.wait(); err != nil {
		return err
	}
	event := a.part(a.skip+a.recorded, a.pending)
	event.Attempt, event.Part, event.Final = a.attempt, a.next, s.Last
	if err := a.record(ctx, event); err != nil {
		a.unsure = !errors.Is(err, domain.ErrSuperseded)
		return err
	}
	a.recorded, a.pending, a.next, a.final = a.recorded+a.pending, 0, a.next+1, s.Last
	return nil
}

// unrecorded returns the keys that no event can name.
func (a *trackParts) unrecorded() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsure || a.recorded > 0 { // the init segment is named; what is left over is swept when the attempt ends
		return nil
	}
	return a.stored()
}
