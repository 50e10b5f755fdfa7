package domain

import (
	"cmp"
	"fmt"
	"slices"
)

// Decisions take the video as it is and return the events that follow, or an error and no event. They are the only
// place where a rule about a video stands.

// Create starts a video. v must not exist yet.
func (v Video) Create(e VideoCreated) ([]Event, error) {
	if v.Version > 0 {
		return nil, fmt.Errorf("%w: the video exists already", ErrConflict)
	}
	e.Owner = cmp.Or(e.Owner, "local")
	e.Details.Visibility = cmp.Or(e.Details.Visibility, Public)
	e.Publish = cmp.Or(e.Publish, PublishAuto)
	e.PlaybackPolicy = cmp.Or(e.PlaybackPolicy, PlaybackPublic)
	details, err := e.Details.Clean()
	if err != nil {
		return nil, err
	}
	e.Details = details
	if e.Encoding != nil {
		encoding, err := e.Encoding.Clean()
		if err != nil {
			return nil, err
		}
		e.Encoding = &encoding
	}
	return []Event{e}, nil
}

// CanUpload says whether a source may be sent now: before the first one, and again after a failure.
func (v Video) CanUpload() error {
	switch {
	case !v.Exists():
		return ErrNotFound
	case v.Source == nil, v.Status() == StatusFailed:
		return nil
	}
	return fmt.Errorf("%w: the video has its source already; create another video for another file", ErrNotAllowed)
}

// Upload records that a source is stored. The same bytes again are no event and no error, so that a client may repeat
// an upload whose answer it did not get.
func (v Video) Upload(filename string, source Blob) ([]Event, error) {
	if v.Exists() && v.Source != nil && v.Status() != StatusFailed && v.Source.Source.SHA256 == source.SHA256 {
		return nil, nil
	}
	if err := v.CanUpload(); err != nil {
		return nil, err
	}
	return []Event{VideoUploaded{Attempt: v.Attempt + 1, Filename: CleanFilename(filename), Source: source}}, nil
}

// RequestTranscode starts the pipeline again, for a source that is there and not in work; to another encoding where that
// is not nil. After a failure, and for another encoding, what is there already is not made again. Who asks for the same
// once more when nothing has failed wants it made anew.
func (v Video) RequestTranscode(to *Encoding) ([]Event, error) {
	if to != nil {
		clean, err := to.Clean()
		if err != nil {
			return nil, err
		}
		to = &clean
	}
	switch {
	case !v.Exists():
		return nil, ErrNotFound
	case v.Source == nil:
		return nil, fmt.Errorf("%w: the video has no source yet", ErrNotAllowed)
	case v.InWork():
		return nil, fmt.Errorf("%w: the video is being transcoded", ErrNotAllowed)
	}
	e := TranscodeRequested{Attempt: v.Attempt + 1, Encoding: to, TakesOver: to != nil || v.Serving < v.Attempt}
	if e.TakesOver {
		e.NoRemux = v.Run.NoRemux
	}
	return []Event{e}, nil
}

// InWork says whether the newest attempt has neither ended nor failed.
func (v Video) InWork() bool {
	return v.Exists() && v.Source != nil && v.Run.Failure == nil && v.Serving < v.Attempt
}

// current refuses reports about an attempt that is not the one in work.
func (v Video) current(attempt int) error {
	if !v.InWork() || attempt != v.Attempt {
		return fmt.Errorf("%w: attempt %d is not in work", ErrSuperseded, attempt)
	}
	return nil
}

// RecordInspection takes what was measured of the source.
func (v Video) RecordInspection(attempt int, s SourceInfo) ([]Event, error) {
	if err := v.current(attempt); err != nil {
		return nil, err
	}
	if v.Run.Source != nil {
		return nil, fmt.Errorf("%w: attempt %d is inspected already", ErrSuperseded, attempt)
	}
	return []Event{SourceInspected{Attempt: attempt, Source: s}}, nil
}

// RejectSource ends the attempt: the source can never be played.
func (v Video) RejectSource(attempt int, f Failure) ([]Event, error) {
	if err := v.current(attempt); err != nil {
		return nil, err
	}
	return []Event{SourceRejected{Attempt: attempt, Failure: f}}, nil
}

// PlanTranscode lays the ladder and the chunks out. What the video's own encoding leaves out is taken from settings.
func (v Video) PlanTranscode(attempt int, settings Encoding) ([]Event, error) {
	if err := v.current(attempt); err != nil {
		return nil, err
	}
	if v.Run.Source == nil || v.Run.Plan != nil {
		return nil, fmt.Errorf("%w: attempt %d is not to be planned now", ErrSuperseded, attempt)
	}
	source := *v.Run.Source
	if v.Run.NoRemux != "" {
		source.Remux = nil
	}
	encoding := v.Encoding.Or(settings)
	// What is taken over is of the ladder as it is, where nothing was measured.
	if encoding.Ladder == LadderAuto && v.Serving > 0 && !v.Run.TakesOver {
		encoding.Ladder = LadderMeasured
	}
	return []Event{TranscodePlanned{Attempt: attempt, Plan: encoding.Plan(source)}}, nil
}

// NeedsMeasure says whether the pictures are still to be measured, so that rungs can be chosen.
func (v Video) NeedsMeasure(attempt int) error {
	if err := v.current(attempt); err != nil {
		return err
	}
	if v.Run.Plan == nil || !v.Run.Plan.Open {
		return fmt.Errorf("%w: the rungs of attempt %d are chosen", ErrSuperseded, attempt)
	}
	return nil
}

// ChooseRungs closes the plan: rungs that add nothing are left out. A measure that found nothing leaves out none.
func (v Video) ChooseRungs(attempt int, c Complexity) ([]Event, error) {
	if err := v.NeedsMeasure(attempt); err != nil {
		return nil, err
	}
	return []Event{TranscodePlanned{Attempt: attempt, Plan: v.Run.Plan.Choose(c)}}, nil
}

// NeedsChunk says whether a chunk's work is still wanted.
func (v Video) NeedsChunk(attempt, chunk int) error {
	if err := v.current(attempt); err != nil {
		return err
	}
	if v.Run.Plan == nil || v.Run.Plan.Open || chunk < 0 || chunk >= len(v.Run.Plan.Chunks) {
		return fmt.Errorf("%w: attempt %d has no chunk %d", ErrSuperseded, attempt, chunk)
	}
	if _, done := v.Run.Chunks[chunk]; done {
		return fmt.Errorf("%w: chunk %d is recorded already", ErrSuperseded, chunk)
	}
	return nil
}

// RecordChunk takes a chunk's renditions and, with one of the chunks, the poster. With the last piece of the attempt
// it also completes the attempt. Where it does not go with what was taken over, an attempt begins that takes nothing over.
func (v Video) RecordChunk(e ChunkTranscoded, poster *PosterProduced) ([]Event, error) {
	if err := v.NeedsChunk(e.Attempt, e.Chunk); err != nil {
		return nil, err
	}
	plan := *v.Run.Plan
	rungs := plan.Encoded()
	if len(e.Renditions) != len(rungs) {
		return nil, fmt.Errorf("chunk %d has %d renditions, the plan has %d", e.Chunk, len(e.Renditions), len(rungs))
	}
	for i, r := range e.Renditions {
		if want := plan.Segments(plan.Chunks[e.Chunk]); r.Name != rungs[i].Name || len(r.Segments) != want {
			return nil, fmt.Errorf("chunk %d, %s: %d segments of %s, the plan has %d",
				e.Chunk, rungs[i].Name, len(r.Segments), r.Name, want)
		}
	}
	if v.Run.TakesOver && !v.fits(e) {
		return []Event{TranscodeRequested{Attempt: v.Attempt + 1, NoRemux: v.Run.NoRemux}}, nil
	}
	events := []Event{e}
	if poster != nil && !v.Run.HasPoster {
		events = append(events, *poster)
	}
	return v.completed(events), nil
}

// fits says whether a chunk can be played with the initialization segments of those that are there. What is encoded by
// another release than what was taken over may not.
func (v Video) fits(e ChunkTranscoded) bool {
	return !slices.ContainsFunc(e.Renditions, func(r RenditionChunk) bool {
		init, known := v.Run.Inits[r.Name]
		return known && init != r.Init.SHA256
	})
}

// NeedsRemux says whether the rendition with the source's own pictures is still wanted.
func (v Video) NeedsRemux(attempt int) error {
	if err := v.current(attempt); err != nil {
		return err
	}
	if v.Run.Plan == nil || v.Run.Plan.Remuxed() == nil || v.Run.Remux.Done {
		return fmt.Errorf("%w: attempt %d remuxes nothing", ErrSuperseded, attempt)
	}
	return nil
}

// RecordRemux takes the next part of the remuxed source, as RecordAudio does of the sound.
func (v Video) RecordRemux(e SourceRemuxed) ([]Event, error) {
	if err := v.NeedsRemux(e.Attempt); err != nil {
		return nil, err
	}
	if e.Part != v.Run.Remux.Parts {
		return nil, fmt.Errorf("%w: part %d of the remuxed source, the next is %d", ErrSuperseded, e.Part, v.Run.Remux.Parts)
	}
	if n := v.Run.Remux.Segments + len(e.Segments); e.Final && n != len(v.Run.Plan.Starts) {
		return nil, fmt.Errorf("the remuxed source has %d segments, the plan has %d", n, len(v.Run.Plan.Starts))
	}
	return v.completed([]Event{e}), nil
}

// RefuseRemux starts the attempt over without the source's own pictures: they cannot be served after all.
func (v Video) RefuseRemux(attempt int, reason string) ([]Event, error) {
	if err := v.NeedsRemux(attempt); err != nil {
		return nil, err
	}
	return []Event{TranscodeRequested{Attempt: v.Attempt + 1, NoRemux: reason}}, nil
}

// completed adds, when events bring the attempt's last piece, a RenditionProduced for each rung with what was
// measured, and the publication if that is automatic.
func (v Video) completed(events []Event) []Event {
	after := v
	for i, e := range events {
		after = after.Evolve(Recorded{Stream: string(v.ID), Version: v.Version + i + 1, Event: e})
	}
	if !after.Complete() {
		return events
	}
	plan := after.Run.Plan
	for _, rung := range plan.Rungs {
		m := after.Run.Remuxed
		if !rung.Remux {
			m = Measure{}
			for i := range plan.Chunks {
				m = m.Add(after.Run.Chunks[i][rung.Name])
			}
		}
		events = append(events, RenditionProduced{
			Attempt: v.Attempt, Name: rung.Name, Width: rung.Width, Height: rung.Height, FrameRate: plan.FrameRate,
			Codecs: m.Codecs, AverageBandwidth: int64(float64(8*m.Bytes) / m.Duration), Bandwidth: int64(m.Peak),
			Bytes: m.Bytes, Duration: m.Duration,
		})
	}
	if v.Publish == PublishAuto && !v.Published && v.PublishedAt.IsZero() {
		events = append(events, VideoPublished{})
	}
	return events
}

// FailTranscode ends the attempt: it could not be finished.
func (v Video) FailTranscode(attempt int, f Failure) ([]Event, error) {
	if err := v.current(attempt); err != nil {
		return nil, err
	}
	return []Event{TranscodeFailed{Attempt: attempt, Failure: f}}, nil
}

// ChangeDetails replaces the details; no event when nothing changes.
func (v Video) ChangeDetails(d Details) ([]Event, error) {
	if !v.Exists() {
		return nil, ErrNotFound
	}
	d, err := d.Clean()
	if err != nil {
		return nil, err
	}
	if d.equal(v.Details) {
		return nil, nil
	}
	return []Event{VideoDetailsChanged{Details: d}}, nil
}

// ChangePlaybackPolicy replaces the policy; no event when nothing changes.
func (v Video) ChangePlaybackPolicy(p PlaybackPolicy) ([]Event, error) {
	if !v.Exists() {
		return nil, ErrNotFound
	}
	if p != PlaybackPublic && p != PlaybackSigned {
		return nil, &Invalid{Fields: []FieldError{{"playback_policy", "must be public or signed"}}}
	}
	if p == v.PlaybackPolicy {
		return nil, nil
	}
	return []Event{PlaybackPolicyChanged{PlaybackPolicy: p}}, nil
}

// PublishNow publishes a video that is ready; no event when it is published already.
func (v Video) PublishNow() ([]Event, error) {
	switch {
	case !v.Exists():
		return nil, ErrNotFound
	case v.Published:
		return nil, nil
	case v.Serving == 0:
		return nil, fmt.Errorf("%w: the video is %s, only a ready one can be published", ErrNotAllowed, v.Status())
	}
	return []Event{VideoPublished{}}, nil
}

// Unpublish takes the publication back; no event when there is none.
func (v Video) Unpublish() ([]Event, error) {
	if !v.Exists() {
		return nil, ErrNotFound
	}
	if !v.Published {
		return nil, nil
	}
	return []Event{VideoUnpublished{}}, nil
}

// Delete ends the video. A deleted one is not found, so a second delete says ErrNotFound.
func (v Video) Delete() ([]Event, error) {
	if !v.Exists() {
		return nil, ErrNotFound
	}
	return []Event{VideoDeleted{}}, nil
}
