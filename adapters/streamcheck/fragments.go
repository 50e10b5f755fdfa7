package streamcheck

import (
	"fmt"
	"math"

	"github.com/Eyevinn/mp4ff/mp4"
)

// mediaFacts is what is in a media segment.
type mediaFacts struct {
	bytes  int64
	tracks map[uint32]*trackFacts
	whole  bool // no box is cut
}

// trackFacts is what a segment holds of one track. Times are in ticks of the track.
type trackFacts struct {
	fragments int
	noTime    bool   // a track fragment without tfdt
	decode    uint64 // decode time of the first sample
	gap       string // decode times that do not follow each other within the segment
	ticks     uint64 // all samples together
	samples   int
	begins    int64 // earliest presentation
	last      int64 // latest begin of a presentation
	ends      int64 // latest end of one
	shortest  uint32
	longest   uint32
	syncFirst bool
	idrFirst  bool
	syncs     []syncSample
}

// syncSample is a sample from which decoding can begin, with where it lies in the file.
type syncSample struct {
	moof, offset, size int64
	time               int64 // of its presentation
	only               bool  // nothing else is in its fragment, or it comes first there
	idr                bool
}

// readSegment reads a media segment, or a part of one, that begins at offset in its file.
func readSegment(data []byte, offset int64, m *movie) (facts *mediaFacts, err error) {
	defer survive(&err)
	boxes, err := readBoxes(data, offset)
	if err != nil {
		return nil, err
	}
	facts = &mediaFacts{bytes: int64(len(data)), tracks: map[uint32]*trackFacts{}, whole: true}
	file := view{data: data, offset: offset}
	for _, b := range boxes {
		facts.whole = facts.whole && !b.cut()
		if b.kind != "moof" {
			continue
		}
		box, err := decode(b)
		if err != nil {
			return nil, err
		}
		moof, ok := box.(*mp4.MoofBox)
		if !ok {
			return nil, fmt.Errorf("%w: no moof in moof", errMP4)
		}
		for _, traf := range moof.Trafs {
			if err := facts.read(traf, b.start, file, m); err != nil {
				return nil, err
			}
		}
	}
	if len(facts.tracks) == 0 {
		return nil, fmt.Errorf("%w: a segment without a track fragment", errMP4)
	}
	return facts, nil
}

// read adds a track fragment whose moof begins at start.
func (f *mediaFacts) read(traf *mp4.TrafBox, start int64, file view, m *movie) error {
	if traf.Tfhd == nil {
		return fmt.Errorf("%w: a traf without tfhd", errMP4)
	}
	var t *track
	for _, one := range m.tracks {
		if one.id == traf.Tfhd.TrackID {
			t = one
		}
	}
	if t == nil {
		return fmt.Errorf("%w: track %d is not in the initialization section", errMP4, traf.Tfhd.TrackID)
	}
	have := f.tracks[t.id]
	if have == nil {
		have = &trackFacts{begins: math.MaxInt64, last: math.MinInt64, ends: math.MinInt64, shortest: math.MaxUint32}
		f.tracks[t.id] = have
	}
	have.fragments++
	switch follows := have.decode + have.ticks; {
	case traf.Tfdt == nil:
		have.noTime = true
	case have.samples == 0:
		have.decode = traf.Tfdt.BaseMediaDecodeTime()
	case traf.Tfdt.BaseMediaDecodeTime() != follows:
		have.gap = fmt.Sprintf("a fragment begins at tick %d, the one before ends at %d", traf.Tfdt.BaseMediaDecodeTime(), follows)
	}
	base := start
	if traf.Tfhd.HasBaseDataOffset() {
		base = int64(traf.Tfhd.BaseDataOffset) //nolint:gosec // an offset in a file
	}
	at, first := base, true
	for _, trun := range traf.Truns {
		if trun.HasDataOffset() {
			at = base + int64(trun.DataOffset)
		}
		trun.AddSampleDefaultValues(traf.Tfhd, t.trex)
		for i := range trun.Samples {
			s := &trun.Samples[i]
			flags := s.Flags
			if own, given := trun.FirstSampleFlags(); given && i == 0 && !trun.HasSampleFlags() {
				flags = own
			}
			sync := mp4.IsSyncSampleFlags(flags) || t.audio
			idr := sync && isIDR(file.bytes(at, int64(s.Size)), t.sample)
			if have.samples == 0 {
				have.syncFirst, have.idrFirst = sync, idr
			}
			shown := int64(have.decode+have.ticks) + int64(s.CompositionTimeOffset) //nolint:gosec // a time in a video
			if sync && t.video {
				have.syncs = append(have.syncs, syncSample{moof: start, offset: at, size: int64(s.Size), time: shown, only: first, idr: idr})
			}
			have.samples++
			have.ticks += uint64(s.Dur)
			have.last = max(have.last, shown)
			have.begins, have.ends = min(have.begins, shown), max(have.ends, shown+int64(s.Dur))
			have.shortest, have.longest = min(have.shortest, s.Dur), max(have.longest, s.Dur)
			at += int64(s.Size)
			first = false
		}
	}
	return nil
}

// view is a part of a file that was read.
type view struct {
	data   []byte
	offset int64
}

// bytes returns what was read of a sample; less than its size where it is cut.
func (v view) bytes(offset, size int64) []byte {
	from := offset - v.offset
	if from < 0 || from >= int64(len(v.data)) || size <= 0 {
		return nil
	}
	return v.data[from:min(from+size, int64(len(v.data)))]
}

// isIDR tells whether the first picture of a sample is an IDR picture, where the codec has such, and true elsewhere.
func isIDR(sample []byte, s sampleEntry) bool {
	if !s.avc() && !s.hevc() {
		return true
	}
	for len(sample) > s.lengthSize {
		size := int64(0)
		for _, b := range sample[:s.lengthSize] {
			size = size<<8 | int64(b)
		}
		header := sample[s.lengthSize]
		if s.avc() {
			const slice, idr = 1, 5 // ITU-T H.264, table 7-1
			if kind := header & 0x1f; kind >= slice && kind <= idr {
				return kind == idr
			}
		} else {
			const idrFirst, idrLast, vcl = 19, 20, 32 // IDR_W_RADL and IDR_N_LP of ITU-T H.265, table 7-1
			if kind := header >> 1 & 0x3f; kind < vcl {
				return kind == idrFirst || kind == idrLast
			}
		}
		if size <= 0 || size >= int64(len(sample)-s.lengthSize) {
			return false
		}
		sample = sample[int64(s.lengthSize)+size:]
	}
	return false
}
