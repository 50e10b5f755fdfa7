package commands

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// EventLog is the one ordered log of all events.
//
// Positions are gapless and no reader ever sees N+1 before N. Every adapter passes contract.EventLog.
type EventLog interface {
	// Append stores a commit, all of it or nothing, and returns only when it is on disk.
	// ErrConflict: the stream's version is not c.Expected; load and decide again.
	// The same c.ID again returns the first result and stores nothing, whatever else is in c.
	// ErrUnavailable: the store is away or full; nothing is known to be stored, the same c may be sent again.
	// At most MaxCommitEvents events; none is ErrInvalid.
	Append(ctx context.Context, c domain.Commit) (domain.Appended, error)
	// ReadStream returns a stream's events with a version above after, oldest first; none for an unknown stream.
	ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error)
	// ReadCommit returns the events of the commit with this id; none if there is no such commit.
	ReadCommit(ctx context.Context, id string) ([]domain.Recorded, error)
}

// MaxCommitEvents is how many events one commit may have.
const MaxCommitEvents = 256

// CheckCommit is what every event log asks of a commit before it looks at what it has. ErrInvalid.
func CheckCommit(c domain.Commit) error {
	switch {
	case len(c.Events) == 0, len(c.Events) > MaxCommitEvents:
		return fmt.Errorf("%w: a commit of %d events, not 1 to %d", domain.ErrInvalid, len(c.Events), MaxCommitEvents)
	case c.ID == "", c.Stream == "":
		return fmt.Errorf("%w: a commit needs an id and a stream", domain.ErrInvalid)
	}
	return nil
}

// CommitReader gives the event log commit by commit, to the byte, to be kept or carried elsewhere.
type CommitReader interface {
	// Head returns the position of the newest event, 0 for an empty log. A commit ends there.
	Head(ctx context.Context) (domain.Position, error)
	// EachCommit calls each for the commits that begin after a position, up to limit, in order and none left out, until
	// each returns an error, which it returns. What each is given is good until it returns.
	EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error
}

// CommitLog also takes commits of another log, and takes texts out of what it has. Every adapter passes contract.CommitLog.
type CommitLog interface {
	CommitReader
	TextEraser

	// Import appends consecutive commits of another log with the positions, versions, ids, times and hashes that they
	// have there, and returns nil when all are on disk. Commits that are there already are left as they are, so that
	// the same ones may be sent again. After an error those from the first up to some other one may be there, never
	// with a gap. It is no way to append: nothing is decided anew.
	// ErrInvalid: a commit does not follow the one before it, in the log or in commits.
	// ErrConflict: there is another commit at this place, or the id or the version of the stream is taken.
	// ErrUnavailable: as for Append.
	Import(ctx context.Context, commits []domain.StoredCommit) error
}

// TextEraser takes texts out of an event log.
type TextEraser interface {
	// EraseTexts puts tombstones (domain.VideoErased.Apply) in the places of a stream's events that e names, and returns when
	// the texts are on no disk of this log any longer, as far as it can see to that. Nothing else changes: positions,
	// versions, ids, hashes. Where tombstones are already they stay, so that it may be done again, by several at once,
	// after a crash, and beside appends and readers; readers see an event as it was or its tombstone. e must be recorded in
	// the stream before, so that whoever sees a tombstone finds why.
	// ErrInvalid: an event that e names is not there, or has no texts. ErrUnavailable: do it again.
	EraseTexts(ctx context.Context, stream string, e domain.VideoErased) error
}

// Blobs is the storage of media. Keys are slash-separated names that we made ("media/<video>/..."): lower-case
// letters, digits, dot, dash and underscore, no empty part, none of more than 255 bytes, no part that begins with a dot,
// so that a key is never a path out of its place; any other key is ErrInvalid. Every adapter passes contract.Blobs.
type Blobs interface {
	// Put stores everything that r gives under key and returns only when it is durable. Readers see all of it or
	// nothing. An existing blob is replaced. When r fails, Put fails with r's error and nothing is stored.
	// ErrUnavailable: no space, or storage away. Storage that is a directory of this machine tells a FileWatcher.
	Put(ctx context.Context, key string, r io.Reader) (domain.Blob, error)
	// Local gives the blob as a file on this machine for as long as release is not called. ErrNotFound.
	Local(ctx context.Context, key string) (path string, release func(), err error)
	// List calls each for every blob whose key has this prefix, in the order of the keys, until it returns an error.
	List(ctx context.Context, prefix string, each func(StoredBlob) error) error
	// Delete removes blobs; one that does not exist is no error.
	Delete(ctx context.Context, keys ...string) error
}

// ValidKey holds the rule for keys of Blobs. How long one may be is up to the storage, 900 bytes at least.
func ValidKey(key string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > 255 {
			return false
		}
		for _, r := range part {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}

// StoredBlob is what storage itself knows of a blob.
type StoredBlob struct {
	Key      string
	Bytes    int64
	Modified int64 // Unix seconds
}

// Tasks sends work to the workers. It may deliver a task more than once and in any order; a worker asks the log
// whether the work is still wanted.
type Tasks interface {
	// Send returns when the tasks are stored. Tasks with a higher Priority are handed out first.
	Send(ctx context.Context, tasks ...Task) error
}

// TaskKind names a kind of work.
type TaskKind string

// The kinds of work, in the order in which a video needs them.
const (
	TaskInspect  TaskKind = "inspect"
	TaskMeasure  TaskKind = "measure" // see which rungs add something
	TaskChunk    TaskKind = "chunk"
	TaskRemux    TaskKind = "remux" // serve the source's own pictures
	TaskAudio    TaskKind = "audio"
	TaskCaptions TaskKind = "captions" // take out what the source has of them
	TaskPreview  TaskKind = "preview"  // a storyboard and a moving preview of what is complete
	TaskSweep    TaskKind = "sweep"    // remove the blobs that the log does not name
)

// Task is one piece of work. It names what to do and holds no state: the log decides what is still to be done.
type Task struct {
	Kind     TaskKind       `json:"kind"`
	Video    domain.VideoID `json:"video"`
	Attempt  int            `json:"attempt"`
	Chunk    int            `json:"chunk,omitempty"`
	Track    int            `json:"track,omitempty"` // of sound, in the plan
	Priority int            `json:"priority,omitempty"`
}

// What somebody waits for goes first: the first look, the sound, and the first chunk or the source's own pictures of every
// video before the later chunks of any. Of those, each doubling of its number puts a chunk behind by one: what is to be
// done of a short video is not behind all of a long one. Where a transport knows no more than before and after, what is
// above PriorityRest goes before: the chunks of about a video's first minute.
const (
	PriorityFirst = 10
	PrioritySoon  = 3
	PriorityRest  = 0
)

// Encoder looks at sources and makes renditions of them. All of its work is killed when ctx ends.
//
// A *domain.Failure (errors.As) is a permanent "no" about the source; any other error may be tried again.
type Encoder interface {
	// Inspect measures a source. It decodes its start: headers lie.
	Inspect(ctx context.Context, path string) (domain.SourceInfo, error)
	// Measure looks at some seconds of a source, so that rungs that add nothing can be left out.
	Measure(ctx context.Context, job MeasureJob) (domain.Complexity, error)
	// EncodeChunk encodes one chunk for all rungs of the plan in one process and hands the pieces to out. It returns
	// nil only if every rung got exactly the frames that the plan says and the first and last segments decode.
	EncodeChunk(ctx context.Context, job ChunkJob, out Output) error
	// Remux hands the source's own pictures to out, as they become ready: segments from one of the plan's starts to the
	// next, under the rung's name. A *domain.Failure says that they cannot be served as they are.
	Remux(ctx context.Context, job RemuxJob, out Output) error
	// EncodeAudio encodes a whole track of sound and hands its pieces to out as they become ready.
	EncodeAudio(ctx context.Context, job AudioJob, out Output) error
	// ReadCaptions takes tracks of text out of a source, as WebVTT of plain text. Tracks without a cue are left out.
	ReadCaptions(ctx context.Context, path string, source domain.SourceInfo) ([]CaptionTrack, error)
	// MakePreviews makes still and moving images of pieces of a rendition.
	MakePreviews(ctx context.Context, job PreviewJob) (Previews, error)
	// Frame gives a JPEG of the last picture that is shown at or before a time, in seconds from the first picture of group,
	// which begins with a keyframe; at most width pixels wide.
	Frame(ctx context.Context, init, group []byte, at float64, width int) ([]byte, error)
}

// MeasureJob says what Measure is to look at.
type MeasureJob struct {
	Path   string
	Source domain.SourceInfo
	Plan   domain.Plan // with every rung of the ladder
}

// ChunkJob says what EncodeChunk is to make.
type ChunkJob struct {
	Path   string
	Source domain.SourceInfo
	Plan   domain.Plan
	Chunk  int
	Poster bool // also make a poster from this chunk
	// Threads is how many CPUs are there for it, when others are encoded beside it; 0 means that it may take what the
	// machine has. What comes out is as good either way.
	Threads int
}

// RemuxJob says what Remux is to make.
type RemuxJob struct {
	Path   string
	Source domain.SourceInfo
	Plan   domain.Plan
}

// AudioJob says what EncodeAudio is to make.
type AudioJob struct {
	Path   string
	Source domain.SourceInfo
	Plan   domain.Plan
	Track  int // its place among the AudioTracks of both
}

// CaptionTrack is a track of text as WebVTT.
type CaptionTrack struct {
	Info domain.CaptionInfo
	Text []byte
}

// Output takes what an Encoder makes. Its methods are called by several goroutines at once, but for one rendition in
// order: Init, then its segments from 0 on. data belongs to the callee. An error ends the encode with that error.
type Output interface {
	// Init takes a rendition's initialization segment (ISO BMFF ftyp and moov) and its codecs string (RFC 6381).
	// Renditions of sound are named by domain.AudioName.
	Init(ctx context.Context, rendition, codecs string, data []byte) error
	// Segment takes one media segment (moof and mdat boxes). Its decode times are already on the video's time line:
	// chunk n goes on where chunk n-1 ended.
	Segment(ctx context.Context, rendition string, s MediaSegment) error
	// Poster takes a JPEG.
	Poster(ctx context.Context, p PosterImage) error
}

// MediaSegment is one encoded segment with what was measured of it.
type MediaSegment struct {
	Index     int // within the chunk; within the track for audio and a remuxed source
	Data      []byte
	Duration  float64 // seconds
	Keyframes []domain.Keyframe
	Last      bool // the last one of the chunk or track
}

// PosterImage is a still with its place in the video.
type PosterImage struct {
	Data          []byte
	Width, Height int
	Time          float64 // seconds
}
