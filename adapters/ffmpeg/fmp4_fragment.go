package ffmpeg

import (
	"encoding/binary"
	"fmt"
	"math"
)

// sample is one frame in a fragment. Times are in the track's timescale.
type sample struct {
	size     uint32
	duration uint32
	offset   int32 // composition time less decode time
	sync     bool
}

// fragment is a moof box and its mdat.
type fragment struct {
	moof, mdat []byte
	decodeTime uint64
	samples    []sample
	first      int // offset in mdat of the first sample's bytes

	sequenceAt, decodeTimeAt int    // offsets in moof of what retime changes
	runs                     []trun // the same
}

// trun is where a run of samples stands in a moof.
type trun struct {
	at      int   // of the version byte
	offsets []int // of each composition offset; none when the run has no such field
}

// Flags of tfhd and trun (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
const (
	tfhdBaseOffset, tfhdDescription, tfhdDuration, tfhdSize, tfhdFlags    = 0x1, 0x2, 0x8, 0x10, 0x20
	trunDataOffset, trunFirst, trunDuration, trunSize, trunFlags, trunCTS = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
	sampleNotSync                                                         = 0x10000
)

// fields reads big-endian numbers one after the other and remembers that one was missing.
type fields struct {
	b     []byte
	at    int
	short bool
}

func (f *fields) u32() uint32 {
	if f.at+4 > len(f.b) {
		f.short = true
		return 0
	}
	v := binary.BigEndian.Uint32(f.b[f.at:])
	f.at += 4
	return v
}

func (f *fields) u64() uint64 {
	hi := f.u32()
	return uint64(hi)<<32 | uint64(f.u32())
}

// parseFragment reads a moof of one track that describes mdat, whose header is mdatHeader bytes long.
func parseFragment(moof, mdat []byte, mdatHeader int) (*fragment, error) {
	f := &fragment{moof: moof, mdat: mdat, first: -1}
	var size, duration, flags uint32
	trafs, dataAt := 0, 0
	inTraf := func(kind string, body []byte, at int) error {
		r := &fields{b: body}
		head := r.u32()
		switch kind {
		case "tfhd":
			r.u32() // track
			if head&tfhdBaseOffset != 0 {
				r.u64()
			}
			if head&tfhdDescription != 0 {
				r.u32()
			}
			if head&tfhdDuration != 0 {
				duration = r.u32()
			}
			if head&tfhdSize != 0 {
				size = r.u32()
			}
			if head&tfhdFlags != 0 {
				flags = r.u32()
			}
		case "tfdt":
			if head>>24 != 1 {
				return fmt.Errorf("%w: tfdt of version %d", errMP4, head>>24)
			}
			f.decodeTimeAt = at + r.at
			f.decodeTime = r.u64()
		case "trun":
			if err := f.parseRun(r, at, head, sample{size: size, duration: duration, sync: flags&sampleNotSync == 0}, &dataAt); err != nil {
				return err
			}
		}
		if r.short {
			return fmt.Errorf("%w: %s is cut", errMP4, kind)
		}
		return nil
	}
	err := eachBox(moof[8:], func(kind string, body []byte, at int) error {
		at += 8
		switch kind {
		case "mfhd":
			if len(body) < 8 {
				return fmt.Errorf("%w: mfhd is cut", errMP4)
			}
			f.sequenceAt = at + 4
		case "traf":
			trafs++
			return eachBox(body, func(kind string, body []byte, inner int) error { return inTraf(kind, body, at+inner) })
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case trafs != 1 || f.sequenceAt == 0 || f.decodeTimeAt == 0 || len(f.samples) == 0:
		return nil, fmt.Errorf("%w: a fragment with %d tracks and %d samples", errMP4, trafs, len(f.samples))
	case f.first < mdatHeader || dataAt != len(mdat):
		return nil, fmt.Errorf("%w: samples from %d to %d in mdat of %d bytes", errMP4, f.first, dataAt, len(mdat))
	}
	return f, nil
}

// parseRun reads a trun whose head was read. Its samples must follow those of the run before without a gap.
func (f *fragment) parseRun(r *fields, at int, head uint32, defaults sample, dataAt *int) error {
	count := r.u32()
	if int64(count)*4 > int64(len(r.b)) && head&(trunDuration|trunSize|trunFlags|trunCTS) != 0 || count > maxMoof/4 {
		return fmt.Errorf("%w: a run of %d samples", errMP4, count)
	}
	if head&trunDataOffset != 0 {
		start := int(int32(r.u32())) - len(f.moof) //nolint:gosec // the field is signed (default-base-is-moof)
		if f.first < 0 {
			f.first, *dataAt = start, start
		}
		if start < 0 || start != *dataAt {
			return fmt.Errorf("%w: a gap before a run", errMP4)
		}
	}
	firstSync, hasFirst := false, head&trunFirst != 0
	if hasFirst {
		firstSync = r.u32()&sampleNotSync == 0
	}
	run := trun{at: at}
	for i := range count {
		s := defaults
		if i == 0 && hasFirst {
			s.sync = firstSync
		}
		if head&trunDuration != 0 {
			s.duration = r.u32()
		}
		if head&trunSize != 0 {
			s.size = r.u32()
		}
		if head&trunFlags != 0 {
			s.sync = r.u32()&sampleNotSync == 0
		}
		if head&trunCTS != 0 {
			run.offsets = append(run.offsets, at+r.at)
			s.offset = int32(r.u32()) //nolint:gosec // signed in version 1, and small in version 0
		}
		// Without a size there would be no end to how many samples a short run may have.
		if *dataAt += int(s.size); r.short || s.size == 0 || *dataAt > len(f.mdat) {
			return fmt.Errorf("%w: trun is cut, or has samples that are not in mdat", errMP4)
		}
		f.samples = append(f.samples, s)
	}
	f.runs = append(f.runs, run)
	return nil
}

// retime gives the fragment its place in the whole rendition, in place. shift is taken from every composition offset,
// which makes them signed (trun version 1).
func (f *fragment) retime(sequence uint32, decodeTime uint64, shift int32) error {
	binary.BigEndian.PutUint32(f.moof[f.sequenceAt:], sequence)
	binary.BigEndian.PutUint64(f.moof[f.decodeTimeAt:], decodeTime)
	f.decodeTime = decodeTime
	if shift == 0 {
		return nil
	}
	n := 0
	for _, run := range f.runs {
		f.moof[run.at] = 1
		for _, at := range run.offsets {
			v := int64(int32(binary.BigEndian.Uint32(f.moof[at:]))) - int64(shift) //nolint:gosec // signed by its version
			if v < math.MinInt32 || v > math.MaxInt32 {
				return fmt.Errorf("%w: a composition offset of %d", errMP4, v)
			}
			binary.BigEndian.PutUint32(f.moof[at:], uint32(int32(v))) //nolint:gosec // two's complement
			n++
		}
	}
	if n != len(f.samples) {
		return fmt.Errorf("%w: %d composition offsets for %d samples", errMP4, n, len(f.samples))
	}
	for i := range f.samples {
		f.samples[i].offset -= shift
	}
	return nil
}
