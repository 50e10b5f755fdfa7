package ffmpeg

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// seekLead is how many seconds before a time FFmpeg must be sent to find the picture that is shown then. It is sent by the time of
// decoding, and takes the keyframe that is decoded by then, which is shown later where pictures are reordered. It knows by
// how much from an edit list only; without one the first picture tells.
func (e *Encoder) seekLead(path string, p probe) (float64, error) {
	const most = 1
	start, _ := strconv.ParseFloat(p.video.Start, 64) // "N/A" is 0
	if p.container.demuxer != "mov" || p.video.Reordered == 0 || start <= 0 {
		return 0, nil
	}
	info, err := openable(path)
	if err != nil {
		return 0, err
	}
	total := info.Size()
	if a := e.arriving(path); a != nil {
		total = a.Total()
	}
	if trimmed, err := e.trimmed(path, total, p.video.track()); trimmed || err != nil {
		return 0, err
	}
	return min(most, start), nil
}

// trimmed says whether the edit list of a track, of a file that has or will have so many bytes, leaves out the beginning of its
// time line, as writers do where pictures are reordered; false where it cannot be read.
func (e *Encoder) trimmed(path string, total int64, track uint32) (trimmed bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open the source: %w", err)
	}
	defer file.Close()
	err = e.contained(func() error {
		moov, _, _ := readMoov(file, total)
		return eachBox(moov, func(kind string, trak []byte, _ int) error {
			if kind != "trak" || trackID(trak) != track {
				return nil
			}
			r := &fields{b: findBox(trak, "edts", "elst")} // ISO/IEC 14496-12, 8.6.6
			version := r.u32() >> 24
			for range r.u32() {
				var media int64
				if version == 1 {
					r.u64()
					media = int64(r.u64()) //nolint:gosec // signed
				} else {
					r.u32()
					media = int64(int32(r.u32())) //nolint:gosec // signed
				}
				if r.u32(); r.short {
					break
				}
				trimmed = trimmed || media > 0
			}
			return nil
		})
	})
	if errors.Is(err, errMP4) {
		err = nil
	}
	return trimmed, err
}
