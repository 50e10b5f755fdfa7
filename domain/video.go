package domain

import (
	"maps"
	"slices"
	"time"
)

// Status is where a video stands on its way to the viewer.
type Status string

// The statuses, in the order of a video's life.
const (
	StatusWaiting    Status = "waiting"    // no source yet
	StatusProcessing Status = "processing" // being inspected or encoded
	StatusReady      Status = "ready"      // all renditions are there
	StatusFailed     Status = "failed"     // will not become ready by itself
)

// Video is what decisions about a video need to know, folded from its events. It is a write model: queries have read
// models of their own.
type Video struct {
	ID             VideoID
	Version        int
	Position       Position // of the newest event
	Owner          string
	Details        Details
	Publish        PublishMode
	PlaybackPolicy PlaybackPolicy
	Encoding       Encoding // what was asked for
	Deleted        bool
	Published      bool
	PublishedAt    time.Time

	Source  *VideoUploaded
	Attempt int // the newest run of the pipeline, 0 before the first upload
	Serving int // the newest run that is complete, 0 before
	Run     Run // of Attempt
}

// Run is what is known of one attempt to transcode the source.
type Run struct {
	Source    *SourceInfo
	Plan      *Plan
	Chunks    map[int]map[string]Measure // by chunk, by rung
	Remux     TrackRun
	Remuxed   Measure
	NoRemux   string            // why the source's own pictures are not served
	TakesOver bool              // what earlier attempts made is not made again
	Inits     map[string]string // by rung, what identifies the initialization segment of its chunks
	Audio     []TrackRun        // of each of the plan's AudioTracks
	HasPoster bool
	Captioned bool // the captions found in the source are there
	Previewed bool // the storyboard is there, and what comes with it
	Failure   *Failure
}

// TrackRun is how far a track has come that is made in one piece and reported in parts.
type TrackRun struct {
	Parts    int
	Segments int
	Done     bool // nothing will be added
	LeftOut  bool // it cannot be made
}

// Measure is what was measured of some consecutive segments.
type Measure struct {
	Codecs   string
	Bytes    int64
	Duration float64 // seconds
	Peak     float64 // bits per second of the segment with the highest rate
}

// MeasureSegments sums segments up.
func MeasureSegments(codecs string, segments []Segment) Measure {
	m := Measure{Codecs: codecs}
	for _, s := range segments {
		m.Bytes += s.Bytes
		m.Duration += s.Duration
		if s.Duration > 0 {
			m.Peak = max(m.Peak, float64(8*s.Bytes)/s.Duration)
		}
	}
	return m
}

// Add joins two measures of the same rendition.
func (m Measure) Add(o Measure) Measure {
	if m.Codecs == "" {
		m.Codecs = o.Codecs
	}
	m.Bytes += o.Bytes
	m.Duration += o.Duration
	m.Peak = max(m.Peak, o.Peak)
	return m
}

// LoadVideo folds a stream, oldest event first.
func LoadVideo(events []Recorded) Video {
	var v Video
	for _, r := range events {
		v = v.Evolve(r)
	}
	return v
}

// Exists says whether there is such a video for a caller.
func (v Video) Exists() bool { return v.Version > 0 && !v.Deleted }

// Status derives the status. A video that is ready stays ready while it is encoded again.
func (v Video) Status() Status {
	switch {
	case v.Serving > 0:
		return StatusReady
	case v.Run.Failure != nil:
		return StatusFailed
	case v.Source == nil:
		return StatusWaiting
	}
	return StatusProcessing
}

// Complete says whether every chunk and all sound of the newest attempt are there.
func (v Video) Complete() bool {
	p := v.Run.Plan
	return p != nil && !p.Open && len(v.Run.Chunks) == len(p.Chunks) && !slices.ContainsFunc(v.Run.Audio, func(t TrackRun) bool { return !t.Done }) &&
		(p.Remuxed() == nil || v.Run.Remux.Done)
}

// Evolve returns the video after one more event. It never refuses: what is in the log has happened.
func (v Video) Evolve(r Recorded) Video {
	v.ID, v.Version, v.Position = r.VideoID(), r.Version, r.Position
	switch e := r.Event.(type) {
	case VideoCreated:
		v.Owner, v.Details, v.Publish, v.PlaybackPolicy = e.Owner, e.Details, e.Publish, e.PlaybackPolicy
		if e.Encoding != nil {
			v.Encoding = *e.Encoding
		}
	case VideoDetailsChanged:
		v.Details = e.Details
	case PlaybackPolicyChanged:
		v.PlaybackPolicy = e.PlaybackPolicy
	case VideoUploaded:
		v.Source, v.Attempt, v.Run = &e, e.Attempt, Run{}
	case TranscodeRequested:
		v.Attempt, v.Run = e.Attempt, Run{NoRemux: e.NoRemux, TakesOver: e.TakesOver}
		if e.Encoding != nil {
			v.Encoding = *e.Encoding
		}
	case SourceInspected:
		v.Run.Source = &e.Source
	case TranscodePlanned:
		if v.Run.Plan == nil { // else it takes the place of an open one, whose sound is being made
			v.Run.Audio = make([]TrackRun, len(e.Plan.AudioTracks()))
		}
		v.Run.Plan = &e.Plan
	case ChunkTranscoded:
		v.Run = v.Run.withChunk(e)
	case SourceRemuxed:
		v.Run.Remux = v.Run.Remux.with(e.Part, len(e.Segments), e.Final)
		v.Run.Remuxed = v.Run.Remuxed.Add(MeasureSegments(e.Codecs, e.Segments))
	case AudioTranscoded:
		v.Run = v.Run.audio(e.Track, func(t TrackRun) TrackRun { return t.with(e.Part, len(e.Segments), e.Final) })
	case AudioLeftOut:
		v.Run = v.Run.audio(e.Track, func(t TrackRun) TrackRun {
			return TrackRun{Parts: t.Parts, Segments: t.Segments, Done: true, LeftOut: true}
		})
	case PosterProduced:
		v.Run.HasPoster = true
	case StoryboardProduced:
		v.Run.Previewed = v.Run.Previewed || e.Attempt == v.Attempt
	case RenditionProduced:
		v.Serving = e.Attempt
	case SourceRejected:
		v.Run.Failure = &e.Failure
	case TranscodeFailed:
		v.Run.Failure = &e.Failure
	case VideoPublished:
		v.Published, v.PublishedAt = true, r.Time
	case VideoUnpublished:
		v.Published = false
	case VideoDeleted:
		v.Deleted = true
	case CaptionAdded:
		v.Run.Captioned = v.Run.Captioned || (e.Attempt > 0 && e.Attempt == v.Attempt)
	case PreviewProduced, CaptionRemoved, VideoErased: // no decision depends on them
	}
	return v
}

func (t TrackRun) with(part, segments int, final bool) TrackRun {
	return TrackRun{Parts: part + 1, Segments: t.Segments + segments, Done: final}
}

func (r Run) withChunk(e ChunkTranscoded) Run {
	chunks := make(map[int]map[string]Measure, len(r.Chunks)+1)
	maps.Copy(chunks, r.Chunks)
	inits := make(map[string]string, len(e.Renditions))
	maps.Copy(inits, r.Inits)
	rungs := make(map[string]Measure, len(e.Renditions))
	for _, c := range e.Renditions {
		inits[c.Name] = c.Init.SHA256
		rungs[c.Name] = MeasureSegments(c.Codecs, c.Segments)
	}
	chunks[e.Chunk] = rungs
	r.Chunks, r.Inits = chunks, inits
	return r
}
