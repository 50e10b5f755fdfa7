package ffmpeg

import (
	"encoding/binary"

	"github.com/Eyevinn/mp4ff/avc"
)

// avcSetup reads from an initialization segment how H.264 is stored: the sizes of NAL units have so many bytes, 0 where it says
// nothing of that, and the pictures may be coded as fields.
func avcSetup(init []byte) (lengthSize int, fields bool) {
	stsd := findBox(init, "moov", "trak", "mdia", "minf", "stbl", "stsd")
	if len(stsd) < 8 {
		return 0, false
	}
	entry := findBox(stsd[8:], "avc1")
	if len(entry) < 78 {
		return 0, false
	}
	c := findBox(entry[78:], "avcC") // ISO/IEC 14496-15, 5.3.3.1
	if len(c) < 8 {
		return 0, false
	}
	set := c[8:]
	set = set[:min(len(set), int(binary.BigEndian.Uint16(c[6:])))]
	// What cannot be read here FFmpeg has decoded some pictures of.
	sps, err := avc.ParseSPSNALUnit(set, false)
	return int(c[4]&3) + 1, err == nil && !sps.FrameMbsOnlyFlag
}

// beginsWithIDR says whether the first picture of a sample of H.264 is an IDR picture (ITU-T H.264, 7.4.1.2.4): where one is
// shown, nothing before it is needed. FFmpeg marks others as keyframes too, of which that is not true: those where decoding
// may begin and is right some pictures later.
func beginsWithIDR(sample []byte, lengthSize int) bool {
	const slice, idr = 1, 5 // table 7-1
	for lengthSize > 0 && len(sample) > lengthSize {
		size := 0
		for _, b := range sample[:lengthSize] {
			size = size<<8 | int(b)
		}
		if kind := sample[lengthSize] & 0x1f; kind >= slice && kind <= idr {
			return kind == idr
		}
		sample = sample[min(len(sample), lengthSize+size):]
	}
	return false
}
