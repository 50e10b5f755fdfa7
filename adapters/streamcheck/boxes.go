package streamcheck

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
)

// ISO base media files (ISO/IEC 14496-12) are cut into top-level boxes here; mp4ff reads what is in moov and moof.

var errMP4 = errors.New("not fragmented MP4 as it should be")

// movie is an initialization section.
type movie struct {
	brand  string
	tracks []*track
}

// track is a track of an initialization section.
type track struct {
	id        uint32
	video     bool
	audio     bool
	timescale uint32
	trex      *mp4.TrexBox
	shift     float64 // seconds by which an edit list moves the presentation
	sample    sampleEntry
}

func (m *movie) main() *track {
	for _, t := range m.tracks {
		if t.video {
			return t
		}
	}
	for _, t := range m.tracks {
		if t.audio {
			return t
		}
	}
	return nil
}

// topLevel is a box of a file. The last one may be cut, as in a part of a file.
type topLevel struct {
	kind  string
	start int64 // of its header, in the file
	head  int64 // bytes of its header
	size  int64 // that it claims, with its header
	data  []byte
}

func (b topLevel) cut() bool { return int64(len(b.data)) < b.size }

// readBoxes cuts data, which begin at offset in their file, into top-level boxes.
func readBoxes(data []byte, offset int64) ([]topLevel, error) {
	var boxes []topLevel
	for len(data) > 0 {
		if len(data) < 8 {
			return boxes, fmt.Errorf("%w: %d bytes after the last box", errMP4, len(data))
		}
		b := topLevel{kind: string(data[4:8]), start: offset, head: 8, size: int64(binary.BigEndian.Uint32(data))}
		switch {
		case b.size == 1 && len(data) >= 16:
			b.head, b.size = 16, int64(binary.BigEndian.Uint64(data[8:])) //nolint:gosec // a negative size is refused below
		case b.size == 0: // to the end of the file
			b.size = int64(len(data))
		}
		if b.size < b.head {
			return boxes, fmt.Errorf("%w: a box %q of %d bytes at %d", errMP4, b.kind, b.size, offset)
		}
		n := min(b.size, int64(len(data)))
		b.data = data[:n]
		boxes = append(boxes, b)
		data, offset = data[n:], offset+n
	}
	return boxes, nil
}

// survive makes an error of whatever a hostile file makes of a decoder.
func survive(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: it cannot be read: %v", errMP4, r)
	}
}

// decode reads a whole box with mp4ff.
func decode(b topLevel) (box mp4.Box, err error) {
	if b.cut() {
		return nil, fmt.Errorf("%w: %q is cut", errMP4, b.kind)
	}
	sr := bits.NewFixedSliceReader(b.data)
	box, err = mp4.DecodeBoxSR(uint64(b.start), sr) //nolint:gosec // an offset in a file
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", errMP4, b.kind, err)
	}
	return box, nil
}

// readMovie reads an initialization section (RFC 8216, 3.3: ftyp, then moov with trak and mvex).
func readMovie(data []byte) (m *movie, err error) {
	defer survive(&err)
	boxes, err := readBoxes(data, 0)
	if err != nil {
		return nil, err
	}
	m = &movie{}
	for _, b := range boxes {
		switch b.kind {
		case "ftyp":
			if len(b.data) >= 12 {
				m.brand = string(b.data[8:12])
			}
		case "moov":
			box, err := decode(b)
			if err != nil {
				return nil, err
			}
			moov, ok := box.(*mp4.MoovBox)
			if !ok {
				return nil, fmt.Errorf("%w: no moov in moov", errMP4)
			}
			if err := m.readTracks(moov); err != nil {
				return nil, err
			}
		}
	}
	if m.brand == "" || m.main() == nil {
		return nil, fmt.Errorf("%w: an initialization section needs ftyp and a moov with a track", errMP4)
	}
	return m, nil
}

func (m *movie) readTracks(moov *mp4.MoovBox) error {
	if moov.Mvex == nil || moov.Mvhd == nil {
		return fmt.Errorf("%w: moov without mvhd or mvex", errMP4)
	}
	for _, trak := range moov.Traks {
		if trak.Tkhd == nil || trak.Mdia == nil || trak.Mdia.Mdhd == nil || trak.Mdia.Hdlr == nil || trak.Mdia.Mdhd.Timescale == 0 ||
			trak.Mdia.Minf == nil || trak.Mdia.Minf.Stbl == nil || trak.Mdia.Minf.Stbl.Stsd == nil {
			return fmt.Errorf("%w: a trak that lacks boxes", errMP4)
		}
		t := &track{
			id: trak.Tkhd.TrackID, timescale: trak.Mdia.Mdhd.Timescale,
			video: trak.Mdia.Hdlr.HandlerType == "vide", audio: trak.Mdia.Hdlr.HandlerType == "soun",
		}
		for _, x := range moov.Mvex.Trexs {
			if x.TrackID == t.id {
				t.trex = x
			}
		}
		if trak.Edts != nil && moov.Mvhd.Timescale > 0 {
			for _, list := range trak.Edts.Elst {
				for _, e := range list.Entries {
					if e.MediaTime < 0 { // an empty edit: the presentation begins later
						t.shift += float64(e.SegmentDuration) / float64(moov.Mvhd.Timescale)
						continue
					}
					t.shift -= float64(e.MediaTime) / float64(t.timescale)
				}
			}
		}
		t.sample = readSampleEntry(trak.Mdia.Minf.Stbl.Stsd)
		m.tracks = append(m.tracks, t)
	}
	return nil
}
