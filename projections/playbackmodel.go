package projections

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cinelog/cinelog/domain"
)

// PlaybackName names the playback read model in files and on the command line.
const PlaybackName = "playback"

// PlaybackRow is a row of the playback model. One video has several, so that a chunk's event writes its own segments
// and not the whole video again. Exactly one of the pointers is set.
type PlaybackRow struct {
	Header *PlaybackHeader `json:"header,omitempty"`
	Plan   *PlaybackPlan   `json:"plan,omitempty"`
	Chunk  *PlaybackChunk  `json:"chunk,omitempty"`
	Remux  *PlaybackPart   `json:"remux,omitempty"`
	Audio  *PlaybackPart   `json:"audio,omitempty"`

	LeftOut *domain.AudioLeftOut   `json:"left_out,omitempty"`
	Poster  *domain.PosterProduced `json:"poster,omitempty"`

	Storyboard *domain.StoryboardProduced `json:"storyboard,omitempty"`
	Preview    *domain.PreviewProduced    `json:"preview,omitempty"`
	Caption    *domain.CaptionAdded       `json:"caption,omitempty"`
	Source     *PlaybackSource            `json:"source,omitempty"`
}

// PlaybackHeader says whether a video may be played, and which run of the pipeline is.
type PlaybackHeader struct {
	ID             domain.VideoID        `json:"id"`
	PlaybackPolicy domain.PlaybackPolicy `json:"playback_policy"`
	Publish        domain.PublishMode    `json:"publish"`
	Published      bool                  `json:"published,omitempty"`
	EverPublished  bool                  `json:"ever_published,omitempty"`
	Attempt        int                   `json:"attempt,omitempty"` // the newest
	Failed         bool                  `json:"failed,omitempty"`  // the newest
	Serving        int                   `json:"serving,omitempty"` // the newest that is complete
}

// PlaybackPlan is the plan of one attempt, as far as playlists need it.
type PlaybackPlan struct {
	Attempt   int                `json:"attempt"`
	FrameRate domain.Rational    `json:"frame_rate"`
	Duration  float64            `json:"duration"`
	Longest   float64            `json:"longest"` // seconds that a segment has at most
	Rungs     []domain.Rung      `json:"rungs"`
	Audio     []domain.AudioPlan `json:"audio,omitempty"`
	AudioOnly bool               `json:"audio_only,omitempty"`
}

// PlaybackSource is what players are told of the source of one attempt.
type PlaybackSource struct {
	Attempt  int              `json:"attempt"`
	Chapters []domain.Chapter `json:"chapters,omitempty"`
}

// PlaybackChunk is one chunk of one attempt.
type PlaybackChunk struct {
	Attempt    int                     `json:"attempt"`
	Chunk      int                     `json:"chunk"`
	Renditions []domain.RenditionChunk `json:"renditions"`
}

// PlaybackPart is one part of a track of one attempt's sound, or of its remuxed source.
type PlaybackPart struct {
	Attempt  int              `json:"attempt"`
	Part     int              `json:"part"`
	Track    int              `json:"track,omitempty"` // of the sound
	Init     domain.Blob      `json:"init"`
	Codecs   string           `json:"codecs"`
	Segments []domain.Segment `json:"segments"`
	Final    bool             `json:"final,omitempty"`
}

// PlaybackModel folds events into the rows from which playlists are rendered.
func PlaybackModel() Model[PlaybackRow] {
	return Model[PlaybackRow]{
		Name: PlaybackName, Version: 5, Keys: playbackKeys, Drop: playbackDrop,
		Fold: func(_ string, row PlaybackRow, r domain.Recorded) PlaybackRow { return foldPlayback(row, r) },
	}
}

// Keys sort so that a scan of one video gives its header first, and chunks and parts in order.
func playbackKeys(r domain.Recorded) []string {
	of := func(attempt int, rest string) []string {
		return []string{fmt.Sprintf("%s%s", attemptRows(r.VideoID(), attempt), rest)}
	}
	switch e := r.Event.(type) {
	case domain.TranscodePlanned:
		return of(e.Attempt, "plan")
	case domain.ChunkTranscoded:
		return of(e.Attempt, fmt.Sprintf("%06d", e.Chunk))
	case domain.SourceRemuxed:
		return of(e.Attempt, fmt.Sprintf("remux/%06d", e.Part))
	case domain.AudioTranscoded:
		return of(e.Attempt, fmt.Sprintf("%s/%06d", domain.AudioName(e.Track), e.Part))
	case domain.AudioLeftOut:
		return of(e.Attempt, domain.AudioName(e.Track)+"/left-out")
	case domain.PosterProduced:
		return of(e.Attempt, "poster")
	case domain.StoryboardProduced:
		return of(e.Attempt, "storyboard")
	case domain.PreviewProduced:
		return of(e.Attempt, "preview")
	case domain.CaptionAdded:
		return of(e.Attempt, captionRow(cmp.Or(e.Name, e.Language)))
	case domain.SourceInspected:
		return of(e.Attempt, "source")
	case domain.VideoCreated, domain.PlaybackPolicyChanged, domain.VideoUploaded, domain.TranscodeRequested,
		domain.SourceRejected, domain.TranscodeFailed, domain.RenditionProduced, domain.VideoPublished,
		domain.VideoUnpublished:
		return []string{r.Stream}
	case domain.VideoDetailsChanged, domain.CaptionRemoved, domain.VideoDeleted, domain.VideoErased:
	}
	return nil
}

// captionRow ends with what no name has, so that one row's key never begins with another's.
func captionRow(name string) string { return "caption/" + name + "/" }

func attemptRows(id domain.VideoID, attempt int) string { return fmt.Sprintf("%s/%06d/", id, attempt) }

func playbackDrop(r domain.Recorded) []string {
	switch e := r.Event.(type) { //nolint:gochecksumtype // only these remove rows
	case domain.VideoDeleted:
		return []string{r.Stream}
	case domain.CaptionRemoved: // one that somebody added
		return []string{attemptRows(r.VideoID(), 0) + captionRow(e.Language)}
	case domain.RenditionProduced: // its attempt is complete: earlier ones are not served any longer
		var older []string
		for attempt := 1; attempt < e.Attempt; attempt++ {
			older = append(older, attemptRows(r.VideoID(), attempt))
		}
		return older
	default:
		return nil
	}
}

func foldPlayback(row PlaybackRow, r domain.Recorded) PlaybackRow {
	switch e := r.Event.(type) { //nolint:gochecksumtype // all others change the header
	case domain.TranscodePlanned:
		return PlaybackRow{Plan: &PlaybackPlan{
			Attempt: e.Attempt, FrameRate: e.Plan.FrameRate, Duration: e.Plan.FrameRate.Seconds(e.Plan.Frames),
			Longest: e.Plan.FrameRate.Seconds(e.Plan.LongestSegment()),
			Rungs:   e.Plan.Rungs, Audio: e.Plan.AudioTracks(), AudioOnly: e.Plan.AudioOnly,
		}}
	case domain.ChunkTranscoded:
		return PlaybackRow{Chunk: &PlaybackChunk{Attempt: e.Attempt, Chunk: e.Chunk, Renditions: e.Renditions}}
	case domain.SourceRemuxed:
		return PlaybackRow{Remux: &PlaybackPart{
			Attempt: e.Attempt, Part: e.Part, Init: e.Init, Codecs: e.Codecs, Segments: e.Segments, Final: e.Final,
		}}
	case domain.AudioTranscoded:
		part := PlaybackPart(e)
		return PlaybackRow{Audio: &part}
	case domain.AudioLeftOut:
		return PlaybackRow{LeftOut: &e}
	case domain.PosterProduced:
		return PlaybackRow{Poster: &e}
	case domain.StoryboardProduced:
		return PlaybackRow{Storyboard: &e}
	case domain.PreviewProduced:
		return PlaybackRow{Preview: &e}
	case domain.CaptionAdded:
		return PlaybackRow{Caption: &e}
	case domain.SourceInspected:
		return PlaybackRow{Source: &PlaybackSource{Attempt: e.Attempt, Chapters: e.Source.Chapters}}
	default:
		return PlaybackRow{Header: foldHeader(row.Header, r)}
	}
}

func foldHeader(before *PlaybackHeader, r domain.Recorded) *PlaybackHeader {
	h := PlaybackHeader{ID: r.VideoID()}
	if before != nil {
		h = *before
	}
	switch e := r.Event.(type) { //nolint:gochecksumtype // playbackKeys gives no other event a header
	case domain.VideoCreated:
		h.PlaybackPolicy, h.Publish = e.PlaybackPolicy, e.Publish
	case domain.PlaybackPolicyChanged:
		h.PlaybackPolicy = e.PlaybackPolicy
	case domain.VideoUploaded:
		h.Attempt, h.Failed = e.Attempt, false
	case domain.TranscodeRequested:
		h.Attempt, h.Failed = e.Attempt, false
	case domain.SourceRejected, domain.TranscodeFailed:
		h.Failed = true
	case domain.RenditionProduced:
		h.Serving = e.Attempt
	case domain.VideoPublished:
		h.Published, h.EverPublished = true, true
	case domain.VideoUnpublished:
		h.Published = false
	default:
	}
	return &h
}

// served returns the attempt to play, 0 for none: the complete one, else the one in work.
func (h PlaybackHeader) served() (attempt int, complete bool) {
	switch {
	case !h.Published && (h.EverPublished || h.Publish == domain.PublishManual): // withheld
		return 0, false
	case h.Serving > 0:
		return h.Serving, true
	case h.Failed:
		return 0, false
	}
	return h.Attempt, false
}

// NewPlaybacks answers from the rows of PlaybackModel.
func NewPlaybacks(rows RowReader[PlaybackRow]) Playbacks { return playbacks{rows} }

type playbacks struct{ rows RowReader[PlaybackRow] }

// Playback implements Playbacks.
func (p playbacks) Playback(ctx context.Context, id domain.VideoID) (Playback, error) {
	rows, err := p.rows.Scan(ctx, string(id))
	if err != nil {
		return Playback{}, fmt.Errorf("read what can be played of video %s: %w", id, err)
	}
	if len(rows) == 0 || rows[0].Header == nil {
		return Playback{}, fmt.Errorf("video %s: %w", id, domain.ErrNotFound)
	}
	attempt, complete := rows[0].Header.served()
	if attempt == 0 {
		return Playback{}, fmt.Errorf("nothing of video %s is to be played: %w", id, domain.ErrNotFound)
	}
	a := assembly{attempt: attempt, complete: complete, audio: map[int][]*PlaybackPart{}, leftOut: map[int]bool{}}
	for _, row := range rows[1:] {
		a.add(row)
	}
	playback, ok := a.playback()
	if !ok {
		return Playback{}, fmt.Errorf("video %s is not playable yet: %w", id, domain.ErrNotFound)
	}
	playback.ID, playback.PlaybackPolicy = id, rows[0].Header.PlaybackPolicy
	playback.Attempt, playback.Complete = attempt, complete
	return playback, nil
}
