package projections

import (
	"context"

	"github.com/cinelog/cinelog/domain"
)

// Playback is all that is needed to render a video's playlists.
type Playback struct {
	ID             domain.VideoID
	PlaybackPolicy domain.PlaybackPolicy
	Attempt        int  // the run of the pipeline that is served
	Complete       bool // nothing will be added: playlists are of type VOD
	Duration       float64
	Longest        float64             // seconds that a segment of the pictures may have
	Renditions     []PlaybackRendition // highest first; each has at least one segment
	Audio          []PlaybackAudio     // the track that players begin with first; each has at least one segment
	AudioOnly      bool                // the sound is offered without pictures too
	Poster         *domain.Blob
	Storyboard     *domain.StoryboardProduced
	Preview        *domain.Blob
	Captions       []domain.CaptionAdded
	Chapters       []domain.Chapter
}

// PlaybackRendition is one video rendition with its segments, without a gap from the start.
type PlaybackRendition struct {
	Name      string
	Width     int
	Height    int
	FrameRate domain.Rational
	MaxRate   int // the rung's cap, to announce while the measured figures are not complete
	Codecs    string
	Init      domain.Blob
	Segments  []domain.Segment
	Ended     bool // nothing will be added to this one
}

// PlaybackAudio is a track of sound with its segments, without a gap from the start.
type PlaybackAudio struct {
	Name     string // in addresses
	Title    string // as the source has it
	Language string
	Kind     domain.AudioKind
	Channels int
	BitRate  int
	Codecs   string
	Init     domain.Blob
	Segments []domain.Segment
	Ended    bool // nothing will be added
}

// Playbacks answers what can be played.
type Playbacks interface {
	// Playback returns what can be played of a video now. ErrNotFound: no such video, withheld (not published by
	// hand yet, or unpublished), or nothing playable yet.
	Playback(ctx context.Context, id domain.VideoID) (Playback, error)
}
