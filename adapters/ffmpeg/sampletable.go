package ffmpeg

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
)

// An MP4 file lists all its samples in one place (ISO/IEC 14496-12, 8.6 and 8.7), so that their times are known in a
// few milliseconds where reading every packet of an hour takes seconds, and somebody waits. Only what is plain is read
// here: whatever could be read in two ways is left to ffprobe.

const (
	maxMoov    = 64 << 20 // 12 h at 60 pictures a second
	tableBoxes = 64       // at most at the top of a plain file
)

// table is a track's samples as the file lists them.
type table struct {
	timescale float64
	shift     int64 // ticks from the track's time line to the film's, by its edit list
	duration  int64 // ticks that the edit list shows; 0 for all
	sizes     []uint32
	fixed     uint32 // size of every sample when sizes is nil
	count     int
	deltas    []run    // stts
	offsets   []run    // ctts
	sync      []uint32 // numbers of the sync samples, ascending
	allSync   bool
}

// run says that so many samples have this value.
type run struct {
	count uint32
	value int32
}

// tableTiming reads the timing of a plain MP4 file; ok is false where ffprobe must read the packets.
func (e *Encoder) tableTiming(path string, p probe) (t *timing, ok bool) {
	if p.container.demuxer != "mov" || p.container.cut {
		return nil, false
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false
	}
	size := info.Size()
	if a := e.arriving(path); a != nil {
		size = a.Total()
	}
	err = e.contained(func() error {
		t, ok = readTables(file, size, p)
		return nil
	})
	return t, ok && err == nil
}

// readTables takes nothing in the file for granted: it needs no more memory than some times what the file has bytes.
func readTables(file io.ReaderAt, fileSize int64, p probe) (t *timing, ok bool) {
	moov, movieScale, ok := readMoov(file, fileSize)
	if !ok {
		return nil, false
	}
	t = &timing{sound: make([]soundTiming, len(p.audio))}
	pictures, sounds := 0, make([]int, len(p.audio))
	err := eachBox(moov, func(kind string, body []byte, _ int) error {
		if kind != "trak" {
			return nil
		}
		id := trackID(body)
		isVideo := id == p.video.track()
		track := slices.IndexFunc(p.audio, func(s stream) bool { return s.track() == id })
		if !isVideo && track < 0 || id == 0 {
			return nil
		}
		tab, plain := parseTable(body, movieScale)
		if !plain || tab.bytes() > fileSize {
			return errMP4
		}
		start := int64(math.Round(p.start * 1e6))
		if isVideo {
			if pictures++; pictures > 1 {
				return errMP4 // two tracks of one number
			}
			return tab.pictures(t, start)
		}
		if sounds[track]++; sounds[track] > 1 {
			return errMP4
		}
		tab.sound(&t.sound[track], start)
		return nil
	})
	if err != nil || pictures != 1 || slices.Contains(sounds, 0) {
		return nil, false
	}
	t.sort()
	return t, true
}

// track is the number that the container gives the stream, 0 where there is none.
func (s stream) track() uint32 {
	n, err := strconv.ParseUint(s.ID, 0, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// readMoov returns the body of the only moov box of a file that is not fragmented and whole, or will be so when it has
// arrived.
func readMoov(file io.ReaderAt, fileSize int64) (moov []byte, movieScale float64, ok bool) {
	at := int64(0)
	for range tableBoxes {
		kind, size, header, err := boxHead(file, at, fileSize)
		if errors.Is(err, io.EOF) && at+8 <= fileSize { // the rest has not arrived
			at = fileSize
			break
		}
		if err != nil {
			return nil, 0, false
		}
		if size < header || size > fileSize-at {
			return nil, 0, false // cut off
		}
		switch kind {
		case "moof":
			return nil, 0, false
		case "moov":
			if moov != nil || size > maxMoov {
				return nil, 0, false
			}
			moov = make([]byte, size-header)
			if _, err := io.ReadFull(io.NewSectionReader(file, at+header, size-header), moov); err != nil {
				return nil, 0, false
			}
		}
		if at += size; at == fileSize {
			break
		}
	}
	header := findBox(moov, "mvhd")
	scaleAt := 12
	if len(header) > 0 && header[0] == 1 {
		scaleAt = 20
	}
	if at != fileSize || len(header) < scaleAt+4 || findBox(moov, "mvex") != nil {
		return nil, 0, false
	}
	return moov, float64(binary.BigEndian.Uint32(header[scaleAt:])), true
}

func trackID(trak []byte) uint32 {
	b := findBox(trak, "tkhd")
	at := 12
	if len(b) > 0 && b[0] == 1 {
		at = 20
	}
	if len(b) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(b[at:])
}

// parseTable reads one track; ok is false where there is more to it than a table and one edit.
func parseTable(trak []byte, movieScale float64) (t table, ok bool) {
	mdhd, stbl := findBox(trak, "mdia", "mdhd"), findBox(trak, "mdia", "minf", "stbl")
	at := 12
	if len(mdhd) > 0 && mdhd[0] == 1 {
		at = 20
	}
	if len(mdhd) < at+4 || stbl == nil {
		return t, false
	}
	t.timescale = float64(binary.BigEndian.Uint32(mdhd[at:]))
	if t.timescale == 0 || movieScale == 0 || !t.edit(findBox(trak, "edts", "elst"), movieScale) {
		return t, false
	}
	plain := true
	t.allSync = true
	seen := map[string]bool{}
	err := eachBox(stbl, func(kind string, body []byte, _ int) error {
		switch kind {
		case "stsd", "stts", "ctts", "stss", "stsz":
			plain = plain && !seen[kind] // who knows which one of two counts
			seen[kind] = true
		}
		r := &fields{b: body}
		version := r.u32() >> 24
		switch kind {
		case "stsd":
			plain = plain && r.u32() == 1
		case "stts", "ctts":
			runs := make([]run, 0, min(int(r.u32()), len(body)/8))
			for r.at+8 <= len(body) && len(runs) < cap(runs) {
				one := run{count: r.u32(), value: int32(r.u32())} //nolint:gosec // signed in ctts, and refused below in stts
				plain = plain && (kind == "ctts" && (version == 1 || one.value >= 0) || kind == "stts" && one.value > 0)
				runs = append(runs, one)
			}
			if kind == "stts" {
				t.deltas = runs
			} else {
				t.offsets = runs
			}
		case "stss":
			t.allSync = false
			for n := min(int(r.u32()), len(body)/4); n > 0 && r.at+4 <= len(body); n-- {
				t.sync = append(t.sync, r.u32())
			}
			plain = plain && slices.IsSorted(t.sync)
		case "stsz":
			t.fixed, t.count = r.u32(), int(r.u32())
			if t.fixed == 0 {
				for range min(t.count, len(body)/4) {
					t.sizes = append(t.sizes, r.u32())
				}
			}
		case "stz2", "stps":
			plain = false
		case "sbgp":
			plain = plain && r.u32() != 0x72617020 // "rap ": more keyframes than are listed
		}
		plain = plain && !r.short
		return nil
	})
	return t, err == nil && plain && t.count > 0 && t.count <= maxPackets && (t.fixed > 0 || len(t.sizes) == t.count) &&
		covers(t.deltas, t.count) && (t.offsets == nil || covers(t.offsets, t.count))
}

// bytes is how many a file must have at least to hold all samples. A table without sizes of its own could else promise
// millions of samples in a file of a few hundred bytes.
func (t *table) bytes() int64 {
	if t.fixed > 0 {
		return int64(t.fixed) * int64(t.count)
	}
	sum := int64(0)
	for _, size := range t.sizes {
		sum += int64(size)
	}
	return sum
}

func covers(runs []run, count int) bool {
	n := 0
	for _, r := range runs {
		if n += int(r.count); n > count {
			return false
		}
	}
	return n == count
}

// edit reads an edit list of one edit at the usual speed, with an empty one before it at most.
func (t *table) edit(elst []byte, movieScale float64) bool {
	if elst == nil {
		return true
	}
	r := &fields{b: elst}
	version := r.u32() >> 24
	n := r.u32()
	for i := range n {
		var length uint64
		var media int64
		if version == 1 {
			length, media = r.u64(), int64(r.u64()) //nolint:gosec // signed
		} else {
			length, media = uint64(r.u32()), int64(int32(r.u32())) //nolint:gosec // signed
		}
		rate := r.u32()
		switch {
		case r.short || rate != 1<<16 || length > math.MaxInt32:
			return false
		case media == -1 && i == 0 && n == 2:
			t.shift = int64(math.Round(float64(length) / movieScale * t.timescale))
		case media >= 0 && i == n-1 && n <= 2:
			t.shift -= media
			t.duration = int64(math.Ceil(float64(length)/movieScale*t.timescale)) + media
		default:
			return false
		}
	}
	return true
}

// each calls f for every sample with its times in ticks; it stops at the first false.
func (t *table) each(f func(number uint32, decode, shown, length int64) bool) {
	var decode int64
	var offset, offsetLeft int
	var number uint32
	for _, d := range t.deltas {
		for range d.count {
			number++
			shown := decode
			if t.offsets != nil {
				for offsetLeft == 0 {
					offsetLeft = int(t.offsets[offset].count)
					offset++
				}
				offsetLeft--
				shown += int64(t.offsets[offset-1].value)
			}
			if !f(number, decode, shown, int64(d.value)) {
				return
			}
			decode += int64(d.value)
		}
	}
}

func (t *table) micros(ticks int64) int64 {
	return int64(math.Round(float64(ticks) / t.timescale * 1e6))
}

// pictures gives the timing what packets would: an error where the edit list cuts some off.
func (t *table) pictures(to *timing, start int64) error {
	cut := false
	sync := t.sync
	t.each(func(number uint32, _, shown, length int64) bool {
		if shown+t.shift < 0 || t.duration > 0 && shown+length > t.duration+1 || float64(shown+t.shift) > maxSeconds*t.timescale {
			cut = true
			return false
		}
		for len(sync) > 0 && sync[0] < number {
			sync = sync[1:]
		}
		to.picture(t.micros(shown+t.shift)-start, t.allSync || len(sync) > 0 && sync[0] == number)
		if l := t.micros(length); l > 0 && l < 60e6 {
			to.lastFrame = l
		}
		if t.sizes != nil {
			to.bytes += int64(t.sizes[number-1])
		} else {
			to.bytes += int64(t.fixed)
		}
		return true
	})
	if cut {
		return errMP4
	}
	return nil
}

func (t *table) sound(to *soundTiming, start int64) {
	to.packets = t.count
	t.each(func(_ uint32, _, shown, length int64) bool {
		if t.duration > 0 {
			length = min(length, t.duration-shown)
		}
		if l := t.micros(length); l > 0 && l < 60e6 && math.Abs(float64(shown+t.shift)) < maxSeconds*t.timescale {
			from := t.micros(shown+t.shift) - start
			to.packet(from, from+l)
		}
		return true
	})
}
