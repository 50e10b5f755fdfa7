package domain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Rung is one step of the ladder: what a rendition is to be.
type Rung struct {
	Name    string `json:"name"`            // "720p": the short side; "720p-hevc" where it is not AVC
	Codec   Codec  `json:"codec,omitempty"` // AVC when empty
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	MaxRate int    `json:"max_rate"` // bits per second that the encoder may not exceed over its buffer
	// Coarser is how much more CRF the rung gets than its profile's, in steps of x264's scale. Fit says what that and the rate
	// follow from. Both are empty where the pictures were not measured.
	Coarser float64 `json:"coarser,omitempty"`
	Fit     string  `json:"fit,omitempty"`
	// Remux says that the rendition has the source's own pictures, without an encode. At most one rung does: the first.
	Remux bool `json:"remux,omitempty"`
}

// Chunk is a span of the source that one task encodes for all rungs.
type Chunk struct {
	Start  int `json:"start"` // first frame, at the plan's frame rate
	Frames int `json:"frames"`
}

// Plan is what will be made of a source. Chunks, segments and keyframes all lie on one grid of frames, the same in
// every rung, so that players switch anywhere and chunks join exactly.
type Plan struct {
	FrameRate     Rational   `json:"frame_rate"`
	Frames        int        `json:"frames"`
	GOP           int        `json:"gop"`                    // frames from keyframe to keyframe; fewer where a segment ends
	SegmentFrames int        `json:"segment_frames"`         // a multiple of GOP
	FirstFrames   int        `json:"first_frames,omitempty"` // of the first segment, where it is shorter
	Starts        []int      `json:"starts,omitempty"`       // first frame of each segment, where the source's keyframes set them
	Profile       Profile    `json:"profile,omitempty"`      // Fast when empty
	Rungs         []Rung     `json:"rungs"`                  // highest first, codec after codec
	Chunks        []Chunk    `json:"chunks"`
	Audio         *AudioPlan `json:"audio,omitempty"`      // the first one; see AudioTracks
	AudioOnly     bool       `json:"audio_only,omitempty"` // the sound is offered without pictures too
	NoSeek        string     `json:"one_chunk,omitempty"`  // why every chunk reads the source from its start, see chunks

	MoreAudio []AudioPlan `json:"more_audio,omitempty"` // the others

	// Open says that the pictures are to be measured before anything is encoded: another plan of the same attempt follows,
	// which is this one without the rungs that add nothing.
	Open       bool          `json:"open,omitempty"`
	Complexity *Complexity   `json:"complexity,omitempty"` // what was measured; nil where nothing was to be
	Dropped    []DroppedRung `json:"dropped,omitempty"`    // that the ladder has and this video does not need
}

// AudioPlan is what will be made of a track of sound.
type AudioPlan struct {
	BitRate    int    `json:"bit_rate"` // bits per second
	Channels   int    `json:"channels"`
	SampleRate int    `json:"sample_rate"`
	Language   string `json:"language,omitempty"`
	Title      string `json:"title,omitempty"`

	Kind AudioKind `json:"kind,omitempty"`
}

// Encoded returns the rungs that each chunk is encoded for.
func (p Plan) Encoded() []Rung {
	if p.Remuxed() != nil {
		return p.Rungs[1:]
	}
	return p.Rungs
}

// Remuxed returns the rung with the source's own pictures, nil for none.
func (p Plan) Remuxed() *Rung {
	if len(p.Rungs) > 0 && p.Rungs[0].Remux {
		return &p.Rungs[0]
	}
	return nil
}

// BeginsLike says whether what is watched first is the same in both plans, and not all there is: the first chunk, or all segments
// but the last of the plan that has fewer, where the source's own pictures are served.
func (p Plan) BeginsLike(o Plan) bool {
	if p.Remuxed() != nil && o.Remuxed() != nil {
		n := min(len(p.Starts), len(o.Starts))
		return n > 1 && p.FrameRate == o.FrameRate && slices.Equal(p.Starts[:n], o.Starts[:n])
	}
	return len(p.Chunks) > 1 && len(o.Chunks) > 1 && p.Chunks[0] == o.Chunks[0] && p.FrameRate == o.FrameRate && p.GOP == o.GOP &&
		p.SegmentFrames == o.SegmentFrames && p.FirstFrames == o.FirstFrames && p.Profile == o.Profile && len(p.Starts)+len(o.Starts) == 0 && slices.Equal(p.Rungs, o.Rungs)
}

// SegmentEnd returns the frame after the last one of the segment that a frame is in.
func (p Plan) SegmentEnd(frame int) int {
	if len(p.Starts) == 0 {
		first := cmp.Or(p.FirstFrames, p.SegmentFrames)
		if frame < first {
			return min(p.Frames, first)
		}
		return min(p.Frames, first+((frame-first)/p.SegmentFrames+1)*p.SegmentFrames)
	}
	if i := sort.SearchInts(p.Starts, frame+1); i < len(p.Starts) {
		return p.Starts[i]
	}
	return p.Frames
}

// Segments returns how many segments a chunk has.
func (p Plan) Segments(c Chunk) int {
	n := 0
	for at := c.Start; at < c.Start+c.Frames; at = p.SegmentEnd(at) {
		n++
	}
	return n
}

// LongestSegment returns the most frames that a segment has.
func (p Plan) LongestSegment() int {
	longest := 0
	for at := 0; at < p.Frames; {
		end := p.SegmentEnd(at)
		at, longest = end, max(longest, end-at)
	}
	return longest
}

// Keyframes come every 2 s and segments last 4 s (Apple's HLS authoring rules 1.13 and 7.6 ask for about 2 s and
// about 6 s; 4 s starts sooner). The first segment lasts 2 s and is a chunk of its own, because somebody waits for it. The
// chunks after it grow, so that whoever began to watch has the next one soon, until they are long enough that starting an
// encoder and seeking in the source cost little beside the encode. Towards the end they are half of what is left, so that
// workers which share a video end at about the same time.
const (
	gopSeconds        = 2
	gopsPerSegment    = 2
	segmentsPerChunk  = 4
	lastSegments      = 2 // of the last chunks, at least
	maxChunksPerVideo = 256
	audioBitRate      = 128_000
	audioSampleRate   = 48_000
)

// shortSides are the rungs by the length of their short side, with the rate that the encoder may not exceed.
var shortSides = []struct{ side, maxRate int }{ //nolint:gochecknoglobals // a table that nobody writes to
	{2160, 16_000_000},
	{1440, 9_000_000},
	{1080, 5_000_000},
	{720, 2_800_000},
	{480, 1_400_000},
	{360, 800_000},
	{240, 400_000},
}

// Ladder returns the rungs for a source shown at width × height, highest first: never above the source, even sizes,
// and never none. A source smaller than the lowest rung gets one rung of its own size, one that is larger than players
// decode the largest size that they do.
func Ladder(width, height int) []Rung {
	short := min(width, height)
	for short > 2 && !decodable(rung(width, height, short, 0)) {
		short--
	}
	var rungs []Rung
	for _, s := range shortSides {
		if s.side <= short {
			rungs = append(rungs, rung(width, height, s.side, s.maxRate))
		}
	}
	// A source between two rungs (say 1000 lines) or below all of them keeps its own size as the top rung, unless the
	// next rung below is nearly as large.
	if short < shortSides[0].side &&
		(len(rungs) == 0 || float64(short) > 1.2*float64(min(rungs[0].Width, rungs[0].Height))) {
		rungs = append([]Rung{rung(width, height, short, rateFor(short))}, rungs...)
	}
	return rungs
}

func rung(width, height, short, maxRate int) Rung {
	scale := float64(short) / float64(min(width, height))
	return Rung{
		Name:    fmt.Sprintf("%dp", short),
		Width:   even(float64(width) * scale),
		Height:  even(float64(height) * scale),
		MaxRate: maxRate,
	}
}

// MaxMacroblocks is how many blocks of 16 × 16 pixels a picture may have at 60 a second in level 5.2 of AVC (ITU-T H.264, table A-1)
// and level 5.1 of HEVC (ITU-T H.265, table A.8), beyond which few players go: those of 4096 × 2160 pixels.
const MaxMacroblocks = 256 * 135

// maxSide is what both let a side be, in whole blocks of a power of two.
const maxSide = 8192

func decodable(r Rung) bool {
	return r.Macroblocks() <= MaxMacroblocks && max(r.Width, r.Height) <= maxSide
}

// Macroblocks returns of how many blocks of 16 × 16 pixels a picture is made.
func (r Rung) Macroblocks() int { return (r.Width + 15) / 16 * ((r.Height + 15) / 16) }

// even rounds to the nearest even number of at least 2: 4:2:0 needs both sides even.
func even(x float64) int { return max(2, 2*int(math.Round(x/2))) }

// rateFor returns the rate of the next row up, for a short side that has no row of its own.
func rateFor(short int) int {
	rate := shortSides[0].maxRate
	for _, s := range shortSides {
		if s.side >= short {
			rate = s.maxRate
		}
	}
	return rate
}

// plan lays the grid over a source, with AVC only.
func plan(s SourceInfo) Plan {
	gop := max(1, int(math.Round(gopSeconds*s.FrameRate.Float())))
	p := Plan{
		FrameRate:     s.FrameRate,
		Frames:        max(1, s.Frames),
		GOP:           gop,
		SegmentFrames: gop * gopsPerSegment,
		FirstFrames:   gop,
		Rungs:         Ladder(s.Width, s.Height),
		NoSeek:        s.NoSeek,
	}
	p = p.withAudio(s).remuxing(s)
	if len(p.Starts) > 0 || p.Frames <= p.SegmentFrames {
		p.FirstFrames = 0
	}
	p.Chunks = chunks(p)
	return p
}

// chunks lays the chunks out. Those of a source that cannot be sought grow on and on, since each decodes all that is before
// it: so the first is there as soon, and all together decode the source less than twice.
func chunks(p Plan) []Chunk {
	segments := p.Segments(Chunk{Frames: p.Frames})
	most := max(segmentsPerChunk, (segments+maxChunksPerVideo-1)/maxChunksPerVideo)
	var cs []Chunk
	for start, size := 0, 1; start < p.Frames; {
		end := start
		for range size {
			end = p.SegmentEnd(end)
		}
		segments -= size
		cs = append(cs, Chunk{Start: start, Frames: end - start})
		start = end
		switch {
		case p.NoSeek != "":
			size *= 4
		case len(cs) > 1:
			size = min(2*size, most, max(lastSegments, (segments+1)/2))
		}
	}
	// A last chunk of a few frames would cost a whole encoder start: the one before takes it, if that is not the first.
	if n := len(cs); n > 2 && cs[n-1].Frames < p.SegmentFrames {
		cs[n-2].Frames += cs[n-1].Frames
		cs = cs[:n-1]
	}
	return cs
}
