package ffmpeg

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.FollowingEncoder = (*Encoder)(nil)

// A source that is still arriving can be worked on in two ways. Where its table of samples stands before them (an MP4 file
// that was written to be played while it comes, "fast start") all that the inspection measures is in that table. Where
// there is no table (Matroska, MPEG-TS, MP4 in fragments) the packets are listed as they come, and what the first seconds
// say is good for the first chunk.

const (
	// maxAhead bounds how long the head of a file may be before its table of samples.
	maxAhead = maxMoov + (1 << 20)
	// startSeconds is how much of a source is looked at by Inspect and Foresee: the first chunk, and the first pictures.
	startSeconds = 4
	// readAhead is by how many seconds of media FFmpeg reads beyond what comes out: decoders work on several pictures at once.
	readAhead = 3
	// measureHalf and measureMost are how much of a source is waited for before its pictures are measured: that part of it, and
	// no more than so many seconds. What comes later is encoded while it comes.
	measureHalf = 0.5
	measureMost = 300
	// farthestJoint is by when the first segment of the source's own pictures must end.
	farthestJoint = 10
	// firstLook is how many bytes are looked at first of a source without a table, and then twice as many each time.
	firstLook = 256 << 10
)

// following is a file that is still arriving.
type following struct {
	commands.Arriving

	once  sync.Once
	table bool // its samples are listed first
	first domain.SourceInfo
	err   error
}

// Follow implements commands.FollowingEncoder.
func (e *Encoder) Follow(path string, a commands.Arriving) (done func()) {
	e.followed.Store(path, &following{Arriving: a})
	return func() { e.followed.Delete(path) }
}

// arriving returns what is known of a file that still grows, nil for one that is whole.
func (e *Encoder) arriving(path string) *following {
	f, ok := e.followed.Load(path)
	if !ok {
		return nil
	}
	return f.(*following)
}

// awaitStart returns when there is enough of a source to read its headers and look at its first pictures. ErrNotAhead.
func (e *Encoder) awaitStart(ctx context.Context, path string) error {
	f := e.arriving(path)
	if f == nil {
		return nil
	}
	f.once.Do(func() { f.err = e.start(ctx, path, f) })
	return f.err
}

func (e *Encoder) start(ctx context.Context, path string, f *following) error {
	if _, err := f.Wait(ctx, 4096); err != nil {
		return err //nolint:wrapcheck // the caller's own
	}
	c, err := sniffStart(path)
	switch {
	case err == nil && c.demuxer == "mov":
		if f.table, err = awaitHeader(ctx, path, f); err != nil {
			return err
		}
	case err != nil || !slices.Contains([]string{"matroska", "mpegts"}, c.demuxer):
		return fmt.Errorf("%w: %s", commands.ErrNotAhead, cmp.Or(c.demuxer, "no known format"))
	}
	if !f.table {
		return e.firstSeconds(ctx, path, f)
	}
	needed, err := e.reach(path, f.Total(), 0, startSeconds)
	if err != nil {
		return err
	}
	_, err = f.Wait(ctx, needed)
	return err //nolint:wrapcheck // the caller's own
}

// firstSeconds returns when the first seconds of a source without a table are there, with what they say of it.
func (e *Encoder) firstSeconds(ctx context.Context, path string, f *following) error {
	for n := int64(firstLook); ; n *= 2 {
		arrived, err := f.Wait(ctx, n)
		if err != nil {
			return err //nolint:wrapcheck // the caller's own
		}
		if arrived >= f.Total() {
			return nil // it is whole
		}
		p, err := e.readHeaders(ctx, path)
		if err != nil || p.unheard {
			continue // not all of the header is there, or it is not a video: that is said later
		}
		t, err := e.listPackets(ctx, process{input: path}, p)
		if err != nil || len(t.video) == 0 || t.video[len(t.video)-1] < (startSeconds+readAhead)*1e6 {
			continue
		}
		first := describe(p, t, t.measure())
		if !endsSegment(first) && t.video[len(t.video)-1] < (farthestJoint+readAhead)*1e6 {
			continue
		}
		file, err := openable(path)
		if err != nil {
			return err
		}
		e.probed.put(path, file, p)
		f.first = first
		return nil
	}
}

// endsSegment says whether it is known of what will be served as it is where its first segment ends.
func endsSegment(s domain.SourceInfo) bool {
	return s.Remux == nil || float64(s.Remux.Joints[len(s.Remux.Joints)-1]) >= startSeconds*s.FrameRate.Float()
}

// Foresee implements commands.FollowingEncoder.
func (e *Encoder) Foresee(ctx context.Context, path string) (domain.SourceInfo, error) {
	if err := e.awaitStart(ctx, path); err != nil {
		return domain.SourceInfo{}, err
	}
	if f := e.arriving(path); f != nil && f.first.Frames > 0 {
		return f.first, nil
	}
	return domain.SourceInfo{}, commands.ErrNotAhead
}

// awaitHeader waits for the movie header, and says whether it lists the samples; not for those that come in fragments.
// ErrNotAhead where media stand before it.
func awaitHeader(ctx context.Context, path string, a commands.Arriving) (table bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open the source: %w", err)
	}
	defer file.Close()
	for at := int64(0); at < maxAhead; {
		if _, err := a.Wait(ctx, at+16); err != nil {
			return false, err //nolint:wrapcheck // the caller's own
		}
		kind, size, header, err := boxHead(file, at, a.Total())
		if err != nil || size < header || kind == "mdat" || kind == "moof" {
			break
		}
		if kind == "moov" && at+size < maxAhead {
			if _, err := a.Wait(ctx, at+size); err != nil {
				return false, err //nolint:wrapcheck // the caller's own
			}
			moov := make([]byte, size-header)
			if _, err := file.ReadAt(moov, at+header); err != nil {
				return false, fmt.Errorf("read the source: %w", err)
			}
			return findBox(moov, "mvex") == nil, nil
		}
		at += size
	}
	return false, fmt.Errorf("%w: its table of samples does not come first", commands.ErrNotAhead)
}

// boxHead reads the head of a box of a file that has, or will have, so many bytes.
func boxHead(file io.ReaderAt, at, total int64) (kind string, size, header int64, err error) {
	var head [16]byte
	n, err := file.ReadAt(head[:], at)
	if n < 8 {
		return "", 0, 0, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	size, header = int64(binary.BigEndian.Uint32(head[:])), 8
	switch {
	case size == 0:
		size = total - at
	case size == 1 && n == len(head):
		size, header = int64(binary.BigEndian.Uint64(head[8:])), 16 //nolint:gosec // the caller refuses a negative one
	}
	return string(head[4:8]), size, header, nil
}

// Needed implements commands.FollowingEncoder.
func (e *Encoder) Needed(ctx context.Context, job commands.ChunkJob) (int64, error) {
	a := e.arriving(job.Path)
	switch {
	case a == nil:
		return 0, nil
	case !a.table:
		return a.Total(), nil
	}
	p, err := e.probe(ctx, job.Path)
	if err != nil {
		return 0, err
	}
	c := job.Plan.Chunks[job.Chunk]
	if c.Start+c.Frames >= job.Plan.Frames {
		return a.Total(), nil
	}
	return e.reach(job.Path, a.Total(), p.video.track(), p.start+job.Plan.FrameRate.Seconds(c.Start+c.Frames))
}

// awaitChunk returns when what a chunk needs of its source has arrived.
func (e *Encoder) awaitChunk(ctx context.Context, job commands.ChunkJob) error {
	a := e.arriving(job.Path)
	if a == nil || !a.table && job.Chunk == 0 && a.first.Frames > 0 { // what it takes was there when it was foreseen
		return nil
	}
	needed, err := e.Needed(ctx, job)
	if err == nil {
		_, err = a.Wait(ctx, needed)
	}
	return err
}

// awaitMeasurable returns when enough of a source is there to measure its pictures, and how many seconds, from the beginning, that
// is: all of them, where it is whole.
func (e *Encoder) awaitMeasurable(ctx context.Context, job commands.MeasureJob, p probe) (float64, error) {
	seconds := job.Plan.FrameRate.Seconds(job.Plan.Frames)
	a := e.arriving(job.Path)
	if a == nil {
		return seconds, nil
	}
	enough, needed, err := min(measureHalf*seconds, measureMost), a.Total(), error(nil)
	if a.table {
		needed, err = e.reach(job.Path, a.Total(), p.video.track(), p.start+enough)
	}
	if err != nil {
		return 0, err
	}
	if arrived, err := a.Wait(ctx, needed); err != nil || arrived < a.Total() {
		return enough, err //nolint:wrapcheck // the caller's own
	}
	return seconds, nil
}

// reach returns how many bytes from the beginning of a file hold a track, or all of them, up to a time of the file in
// seconds, and what FFmpeg reads beyond it.
func (e *Encoder) reach(path string, total int64, track uint32, seconds float64) (bytes int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open the source: %w", err)
	}
	defer file.Close()
	err = e.contained(func() error {
		moov, movieScale, ok := readMoov(file, total)
		if !ok {
			return commands.ErrNotAhead
		}
		return eachBox(moov, func(kind string, trak []byte, _ int) error {
			if kind != "trak" || track != 0 && trackID(trak) != track {
				return nil
			}
			tab, ok := parseTable(trak, movieScale)
			ends, err := sampleEnds(findBox(trak, "mdia", "minf", "stbl"), tab)
			switch plain := ok && err == nil; {
			case !plain && track == 0:
				return nil // not a track that is used, or the inspection says so
			case !plain:
				return commands.ErrNotAhead
			}
			tab.each(func(number uint32, decode, _, _ int64) bool {
				bytes = max(bytes, ends[number-1])
				return float64(decode+tab.shift)/tab.timescale <= seconds+readAhead
			})
			return nil
		})
	})
	if err == nil && bytes == 0 {
		err = commands.ErrNotAhead
	}
	return min(bytes, total), err
}

// sampleEnds returns where in the file each sample ends (ISO/IEC 14496-12, 8.7.4 and 8.7.5).
func sampleEnds(stbl []byte, t table) ([]int64, error) {
	perChunk := findBox(stbl, "stsc")
	offsets, wide := findBox(stbl, "stco"), 4
	if offsets == nil {
		offsets, wide = findBox(stbl, "co64"), 8
	}
	if len(perChunk) < 20 || len(offsets) < 8 {
		return nil, errMP4
	}
	runs := perChunk[8:]
	runs = runs[:min(len(runs)/12, int(binary.BigEndian.Uint32(perChunk[4:])))*12]
	places := offsets[8:]
	places = places[:min(len(places)/wide, int(binary.BigEndian.Uint32(offsets[4:])))*wide]
	ends := make([]int64, 0, t.count)
	inChunk := 0
	for chunk := uint32(1); len(places) > 0 && len(ends) < t.count; chunk++ {
		for len(runs) > 0 && binary.BigEndian.Uint32(runs) <= chunk {
			inChunk, runs = int(binary.BigEndian.Uint32(runs[4:])), runs[12:]
		}
		at := int64(binary.BigEndian.Uint32(places))
		if wide == 8 {
			at = int64(binary.BigEndian.Uint64(places)) //nolint:gosec // a negative one is behind all others
		}
		places = places[wide:]
		for range min(inChunk, t.count-len(ends)) {
			size := t.fixed
			if t.sizes != nil {
				size = t.sizes[len(ends)]
			}
			at += int64(size)
			ends = append(ends, at)
		}
	}
	if len(ends) != t.count {
		return nil, errMP4
	}
	return ends, nil
}

// sniffStart is sniff for a file of which there is only the start.
func sniffStart(path string) (container, error) {
	head := make([]byte, 4096)
	file, err := os.Open(path)
	if err != nil {
		return container{}, fmt.Errorf("open the source: %w", err)
	}
	defer file.Close()
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return container{}, fmt.Errorf("read the source: %w", err)
	}
	c, _ := sniffHead(slices.Clip(head[:n]))
	return c, nil
}
