package ffmpeg

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sideData is what a track says of how its pictures are to be shown.
type sideData struct {
	Rotation float64 `json:"rotation"`      // degrees against the clock
	Matrix   string  `json:"displaymatrix"` // of ISO/IEC 14496-12, 8.3.2, as ffprobe prints it: three lines of three numbers
}

// turned says how the pictures are to be shown: mirrored, left for right, and then turned clockwise by 0, 90, 180 or 270 degrees,
// whichever is nearest.
func (s stream) turned() (degrees int, mirrored bool) {
	for _, d := range s.SideData {
		angle := -d.Rotation
		if a, b, c, e, ok := axes(d.Matrix); ok {
			if mirrored = a*e < b*c; mirrored {
				a, b = -a, -b
			}
			angle = math.Atan2(b, a) * 180 / math.Pi
		}
		if degrees = (int(math.Round(angle/90))*90%360 + 360) % 360; degrees != 0 || mirrored {
			break
		}
	}
	return degrees, mirrored
}

// axes reads where the matrix puts what lies to the right (a, b) and what lies below (c, d).
func axes(matrix string) (a, b, c, d float64, ok bool) {
	var rows [][]string
	for line := range strings.Lines(matrix) {
		if _, numbers, found := strings.Cut(line, ":"); found { // "00000000:       -65536           0           0"
			rows = append(rows, strings.Fields(numbers))
		}
	}
	if len(rows) < 2 || len(rows[0]) < 2 || len(rows[1]) < 2 {
		return 0, 0, 0, 0, false
	}
	var n [4]float64
	for i, text := range []string{rows[0][0], rows[0][1], rows[1][0], rows[1][1]} {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, 0, 0, 0, false
		}
		n[i] = v
	}
	return n[0], n[1], n[2], n[3], n[0]*n[3] != n[1]*n[2]
}

// straight takes the matrix out of an initialization segment: FFmpeg copies that of the source, whether the pictures are still to
// be turned or not.
func straight(init []byte) {
	header := findBox(init, "moov", "trak", "tkhd")
	at := 40 // ISO/IEC 14496-12, 8.3.2
	if len(header) > 0 && header[0] == 1 {
		at = 52
	}
	for i, n := range []uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		if end := at + 4*i + 4; end <= len(header) {
			binary.BigEndian.PutUint32(header[end-4:], n)
		}
	}
}

// upright are the filters that show the pictures so. FFmpeg would do it by itself, but for mirrored ones, which its releases show
// in different ways, and for other angles, at which it cuts the corners off. These filters mind another size than the first one.
func (s stream) upright() (filters []string) {
	degrees, mirrored := s.turned()
	if mirrored {
		filters = append(filters, "hflip")
	}
	switch degrees {
	case 90:
		filters = append(filters, "transpose=clock")
	case 180:
		filters = append(filters, "hflip", "vflip")
	case 270:
		filters = append(filters, "transpose=cclock")
	}
	if filters != nil {
		filters = append([]string{fmt.Sprintf("scale=%d:%d", s.Width, s.Height)}, filters...)
	}
	return filters
}
