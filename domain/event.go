package domain

import "time"

// Event is a fact about one video. The interface is sealed: every event is in this package, and the linter finds each
// switch that misses one.
//
//sumtype:decl
type Event interface{ isEvent() }

// Recorded is an event as the log holds it.
type Recorded struct {
	Position Position
	Stream   string
	Version  int // 1 for the first event of the stream
	Time     time.Time
	Meta     Meta
	Event    Event
}

// VideoID returns the video whose stream this is.
func (r Recorded) VideoID() VideoID { return VideoID(r.Stream) }

// Meta says who caused the events of a commit, and by what.
type Meta struct {
	Actor       string `json:"actor,omitempty"`       // who did it: "local" until there are keys, "worker", "policy"
	Correlation string `json:"correlation,omitempty"` // one user action with all that follows from it
	Causation   string `json:"causation,omitempty"`   // position of the event that this is a reaction to
	Request     string `json:"request,omitempty"`     // hash of the request, where the client gave an Idempotency-Key
}

// Commit is what one append puts into the log: all of it or nothing.
type Commit struct {
	ID       string // the same id again returns the first result
	Stream   string
	Expected int // version of the stream's newest event; 0 for a new stream
	Time     time.Time
	Meta     Meta
	Events   []Event
}

// Appended is where a commit's last event stands.
type Appended struct {
	Position Position
	Version  int
}

// Visibility says who finds a video.
type Visibility string

// Public videos are found by everybody, unlisted ones by their link, private ones by their owner.
const (
	Public   Visibility = "public"
	Unlisted Visibility = "unlisted"
	Private  Visibility = "private"
)

// PublishMode says whether a video is published by itself as soon as it is ready.
type PublishMode string

// The publish modes.
const (
	PublishAuto   PublishMode = "auto"
	PublishManual PublishMode = "manual"
)

// PlaybackPolicy says whether playback needs a signed token.
type PlaybackPolicy string

// The playback policies.
const (
	PlaybackPublic PlaybackPolicy = "public"
	PlaybackSigned PlaybackPolicy = "signed"
)

// Details are what its owner says about a video.
type Details struct {
	Title       string            `json:"title"`
	Description string            `json:"description,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Visibility  Visibility        `json:"visibility"`
}

// VideoCreated starts a stream.
type VideoCreated struct {
	Owner          string         `json:"owner"`
	Details        Details        `json:"details"`
	Publish        PublishMode    `json:"publish"`
	PlaybackPolicy PlaybackPolicy `json:"playback_policy"`
	Encoding       *Encoding      `json:"encoding,omitempty"` // the server's settings when nil
}

// VideoDetailsChanged holds the details as they are after the change.
type VideoDetailsChanged struct {
	Details Details `json:"details"`
}

// PlaybackPolicyChanged holds the policy after the change.
type PlaybackPolicyChanged struct {
	PlaybackPolicy PlaybackPolicy `json:"playback_policy"`
}

// VideoUploaded says that the source is stored, durably. Attempt numbers the run of the pipeline that it starts.
type VideoUploaded struct {
	Attempt  int    `json:"attempt"`
	Filename string `json:"filename,omitempty"` // what the client called it; never a path of ours
	Source   Blob   `json:"source"`
}

// TranscodeRequested starts the pipeline again for a source that is already there.
type TranscodeRequested struct {
	Attempt int `json:"attempt"`
	// NoRemux says why the source's own pictures are not to be served this time, where the attempt before tried to.
	NoRemux  string    `json:"no_remux,omitempty"`
	Encoding *Encoding `json:"encoding,omitempty"` // from now on; as before when nil
	// TakesOver says that what earlier attempts made of the same source in the same way is not made again.
	TakesOver bool `json:"takes_over,omitempty"`
}

// SourceInspected holds what was measured of the source.
type SourceInspected struct {
	Attempt int        `json:"attempt"`
	Source  SourceInfo `json:"source"`
}

// SourceRejected ends an attempt: the source can never be played, and why.
type SourceRejected struct {
	Attempt int     `json:"attempt"`
	Failure Failure `json:"failure"`
}

// TranscodePlanned says what will be made of the source, in which chunks. After one whose plan is open comes another one
// for the same attempt, which takes its place.
type TranscodePlanned struct {
	Attempt int  `json:"attempt"`
	Plan    Plan `json:"plan"`
}

// ChunkTranscoded says that one chunk exists in every rung, durably, and was checked.
type ChunkTranscoded struct {
	Attempt    int              `json:"attempt"`
	Chunk      int              `json:"chunk"`
	Renditions []RenditionChunk `json:"renditions"`     // highest first, as in the plan
	Kept       []string         `json:"kept,omitempty"` // those of them that an earlier attempt has made
}

// SourceRemuxed says that further segments of the rendition exist that has the source's own pictures. Part numbers the
// reports from 0.
type SourceRemuxed struct {
	Attempt  int       `json:"attempt"`
	Part     int       `json:"part"`
	Init     Blob      `json:"init"`
	Codecs   string    `json:"codecs"`
	Segments []Segment `json:"segments"`
	Final    bool      `json:"final"`
}

// AudioTranscoded says that further segments of a track of sound exist. Part numbers the reports of each track from 0.
type AudioTranscoded struct {
	Attempt  int       `json:"attempt"`
	Part     int       `json:"part"`
	Track    int       `json:"track,omitempty"` // its place among the plan's AudioTracks
	Init     Blob      `json:"init"`
	Codecs   string    `json:"codecs"`
	Segments []Segment `json:"segments"`
	Final    bool      `json:"final"`
}

// AudioLeftOut says that the video does without a track of sound, and why.
type AudioLeftOut struct {
	Attempt int     `json:"attempt"`
	Track   int     `json:"track"`
	Failure Failure `json:"failure"`
}

// PosterProduced says that a still image exists. A later one of the same attempt takes the place of the first.
type PosterProduced struct {
	Attempt int     `json:"attempt"`
	Image   Blob    `json:"image"`
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	Time    float64 `json:"time"` // seconds from the start of the video
}

// StoryboardProduced says that preview tiles for the scrubber exist.
type StoryboardProduced struct {
	Attempt  int     `json:"attempt"`
	Image    Blob    `json:"image"`
	Columns  int     `json:"columns"`
	Rows     int     `json:"rows"`
	Width    int     `json:"width"`    // of one tile, in pixels
	Height   int     `json:"height"`   // of one tile, in pixels
	Interval float64 `json:"interval"` // seconds between tiles
}

// PreviewProduced says that a short moving image (WebP) of moments across the video exists.
type PreviewProduced struct {
	Attempt  int     `json:"attempt"`
	Image    Blob    `json:"image"`
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	Duration float64 `json:"duration"` // seconds until it begins again
}

// RenditionProduced says that one rung is complete, with what was measured of it. A video is ready when every rung of
// an attempt's plan has one; playback switches to that attempt with the last of them.
type RenditionProduced struct {
	Attempt          int      `json:"attempt"`
	Name             string   `json:"name"`
	Width            int      `json:"width"`
	Height           int      `json:"height"`
	FrameRate        Rational `json:"frame_rate"`
	Codecs           string   `json:"codecs"`            // RFC 6381
	AverageBandwidth int64    `json:"average_bandwidth"` // bits per second, audio not included
	Bandwidth        int64    `json:"bandwidth"`         // bits per second of the largest segment, audio not included
	Bytes            int64    `json:"bytes"`
	Duration         float64  `json:"duration"` // seconds
}

// TranscodeFailed ends an attempt that could not be finished.
type TranscodeFailed struct {
	Attempt int     `json:"attempt"`
	Failure Failure `json:"failure"`
}

// VideoPublished makes a video watchable and findable.
type VideoPublished struct{}

// VideoUnpublished takes it back.
type VideoUnpublished struct{}

// CaptionAdded says that a caption track (WebVTT) exists for a language (BCP 47; "und" when it is not known). Tracks that
// were found in a source belong to the attempt that found them, and there may be several of one language.
type CaptionAdded struct {
	Attempt  int    `json:"attempt,omitempty"` // whose source it was found in; 0 for one that somebody added
	Name     string `json:"name,omitempty"`    // in addresses; the language when empty
	Language string `json:"language"`
	Label    string `json:"label,omitempty"`
	File     Blob   `json:"file"`
}

// CaptionRemoved takes a caption track away.
type CaptionRemoved struct {
	Language string `json:"language"`
}

// VideoDeleted ends a stream: media and source are removed from storage afterwards.
type VideoDeleted struct{}

// Blob names a stored object and what it must contain.
type Blob struct {
	Key    string `json:"key"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// RenditionChunk is one chunk of one rung.
type RenditionChunk struct {
	Name     string    `json:"name"`
	Init     Blob      `json:"init"` // the same content for all chunks of a rung
	Codecs   string    `json:"codecs"`
	Segments []Segment `json:"segments"`
}

// Segment is one HLS media file.
type Segment struct {
	Blob

	Duration  float64    `json:"duration"`            // seconds
	Keyframes []Keyframe `json:"keyframes,omitempty"` // video only, for I-frame playlists (RFC 8216, 4.3.3.6)
}

// Keyframe is the byte range within a segment that holds one keyframe, from its moof box on.
type Keyframe struct {
	Offset int64   `json:"offset"`
	Length int64   `json:"length"`
	Time   float64 `json:"time"` // seconds from the start of the segment
}

func (VideoCreated) isEvent()          {}
func (VideoDetailsChanged) isEvent()   {}
func (PlaybackPolicyChanged) isEvent() {}
func (VideoUploaded) isEvent()         {}
func (TranscodeRequested) isEvent()    {}
func (SourceInspected) isEvent()       {}
func (SourceRejected) isEvent()        {}
func (TranscodePlanned) isEvent()      {}
func (ChunkTranscoded) isEvent()       {}
func (SourceRemuxed) isEvent()         {}
func (AudioTranscoded) isEvent()       {}
func (AudioLeftOut) isEvent()          {}
func (PosterProduced) isEvent()        {}
func (StoryboardProduced) isEvent()    {}
func (PreviewProduced) isEvent()       {}
func (RenditionProduced) isEvent()     {}
func (TranscodeFailed) isEvent()       {}
func (VideoPublished) isEvent()        {}
func (VideoUnpublished) isEvent()      {}
func (CaptionAdded) isEvent()          {}
func (CaptionRemoved) isEvent()        {}
func (VideoDeleted) isEvent()          {}
func (VideoErased) isEvent()           {}
