package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// codecString reads the RFC 6381 name of the one track's codec from an initialization segment.
func codecString(init []byte) (string, error) {
	stsd := findBox(init, "moov", "trak", "mdia", "minf", "stbl", "stsd")
	if len(stsd) < 16 {
		return "", fmt.Errorf("%w: no sample description", errMP4)
	}
	entries := stsd[8:]
	if entry := findBox(entries, "avc1"); len(entry) > 78 {
		if c := findBox(entry[78:], "avcC"); len(c) >= 4 {
			return fmt.Sprintf("avc1.%02x%02x%02x", c[1], c[2], c[3]), nil
		}
	}
	if entry := findBox(entries, "hvc1"); len(entry) > 78 {
		if c := findBox(entry[78:], "hvcC"); len(c) >= 13 {
			return hevcString(c), nil
		}
	}
	if entry := findBox(entries, "av01"); len(entry) > 78 {
		if c := findBox(entry[78:], "av1C"); len(c) >= 3 {
			return av1String(c), nil
		}
	}
	if entry := findBox(entries, "mp4a"); len(entry) > 28 {
		if objectType := aacObjectType(findBox(entry[28:], "esds")); objectType > 0 {
			return fmt.Sprintf("mp4a.40.%d", objectType), nil
		}
	}
	return "", fmt.Errorf("%w: no avcC, hvcC, av1C or esds", errMP4)
}

// hevcString names what an HEVCDecoderConfigurationRecord says (ISO/IEC 14496-15, 8.3.3.1 and annex E.3).
func hevcString(c []byte) string {
	space := []string{"", "A", "B", "C"}[c[1]>>6]
	tier := "L"
	if c[1]&0x20 != 0 {
		tier = "H"
	}
	compatibility := bits.Reverse32(binary.BigEndian.Uint32(c[2:6]))
	var name strings.Builder
	fmt.Fprintf(&name, "hvc1.%s%d.%X.%s%d", space, c[1]&0x1f, compatibility, tier, c[12])
	for _, b := range bytes.TrimRight(c[6:12], "\x00") {
		fmt.Fprintf(&name, ".%X", b)
	}
	return name.String()
}

// av1String names what an AV1CodecConfigurationRecord says (AV1 in ISOBMFF, 2.3.3 and 5).
func av1String(c []byte) string {
	tier, depth := "M", 8
	if c[2]&0x80 != 0 {
		tier = "H"
	}
	if c[2]&0x40 != 0 {
		depth = 10
	}
	return fmt.Sprintf("av01.%d.%02d%s.%02d", c[1]>>5, c[1]&0x1f, tier, depth)
}

// aacObjectType finds the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) in an esds box: descriptor 5 within 4 within 3.
func aacObjectType(esds []byte) int {
	if len(esds) < 4 {
		return 0
	}
	b := esds[4:]
	for _, d := range []struct {
		tag  byte
		skip int // bytes of the descriptor before the next one
	}{{3, 3}, {4, 13}, {5, 0}} {
		if len(b) < 2 || b[0] != d.tag {
			return 0
		}
		at := 1
		for at < len(b) && b[at]&0x80 != 0 {
			at++
		}
		if at++; len(b) <= at+d.skip {
			return 0
		}
		b = b[at+d.skip:]
	}
	return int(b[0] >> 3)
}

// timescale reads the ticks per second of the one track.
func timescale(init []byte) (uint32, error) {
	mdhd := findBox(init, "moov", "trak", "mdia", "mdhd")
	at := 12
	if len(mdhd) > 0 && mdhd[0] == 1 {
		at = 20
	}
	if len(mdhd) < at+4 {
		return 0, fmt.Errorf("%w: no media header", errMP4)
	}
	return binary.BigEndian.Uint32(mdhd[at:]), nil
}
