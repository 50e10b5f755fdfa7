package ffmpeg

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/cinelog/cinelog/domain"
)

// effort is how an encoder is set for a profile.
type effort struct {
	preset string
	crf    float64
}

// efforts are the settings of each codec by profile.
var efforts = map[domain.Codec]map[domain.Profile]effort{ //nolint:gochecknoglobals // a table that nobody writes to
	domain.AVC: {
		domain.Fast: {"veryfast", 23}, domain.Balanced: {"medium", 23}, domain.Small: {"slower", 23},
	},
	domain.HEVC: {
		domain.Fast: {"superfast", 25}, domain.Balanced: {"fast", 26}, domain.Small: {"medium", 26},
	},
	domain.AV1: {
		domain.Fast: {"11", 34}, domain.Balanced: {"9", 35}, domain.Small: {"7", 36},
	},
}

// crfSteps is how many steps of a codec's scale take as many bits as one of x264's: AV1's has 63 for 51.
var crfSteps = map[domain.Codec]float64{domain.AVC: 1, domain.HEVC: 1, domain.AV1: 63. / 51} //nolint:gochecknoglobals // nobody writes to it

// codecArgs say how a rung is encoded: by quality, up to its rate, with closed groups of pictures on the plan's grid. soon
// is for what somebody waits for.
func codecArgs(plan domain.Plan, r domain.Rung, threads string, soon bool) []string {
	codec := cmp.Or(r.Codec, domain.AVC)
	e := efforts[codec][cmp.Or(plan.Profile, domain.Fast)]
	gop, rate := strconv.Itoa(plan.GOP), strconv.Itoa(r.MaxRate)
	common := []string{"-preset", e.preset, "-crf", strconv.FormatFloat(e.crf+r.Coarser*crfSteps[codec], 'f', -1, 64), "-g", gop, "-keyint_min", gop, "-threads", threads}
	switch codec {
	case domain.HEVC:
		// hvc1: what is needed to decode is in the initialization segment only. The encoder's own signature would be there
		// too, and may not differ from chunk to chunk.
		return append(common, "-c:v", "libx265", "-profile:v", "main", "-tag:v", "hvc1", "-forced-idr", "1",
			"-x265-params", fmt.Sprintf("keyint=%s:min-keyint=%s:scenecut=0:open-gop=0:info=0:log-level=none:pools=%s:vbv-maxrate=%d:vbv-bufsize=%d",
				gop, gop, threads, r.MaxRate/1000, 2*r.MaxRate/1000))
	case domain.AV1:
		return append(common, "-c:v", "libsvtav1",
			"-svtav1-params", fmt.Sprintf("scd=0:irefresh-type=2:lp=%s:mbr=%d", threads, r.MaxRate/1000))
	case domain.AVC:
	}
	// Bits go where flat areas need them (3 to 7 % fewer bytes at the same SSIM than with the preset's own mode), and to
	// pictures that others are made from, looking 20 ahead instead of 10 (2 to 3 %). Pictures between two others are not
	// taken apart further, which a sixth of the time goes into and 1.5 % of the bytes come from. More bits yet
	// go to what others are made from (qcomp, which is 0.6 else). There are always 3 in a row: to weigh how many (b_strategy) takes a
	// tenth of the time and wins nothing that could be measured.
	if e.preset == "veryfast" {
		common = append(common, "-partitions", "+parti8x8+parti4x4+partp8x8", "-b_strategy", "0", "-qcomp", "0.5")
		if soon {
			common = append(common, "-subq", "1") // a third less time, 10 % more bytes
		} else {
			common = append(common, "-rc-lookahead", "20")
		}
	}
	// A picture may be made from 8 others in the slowest preset. So many large ones are more than level 5.2 keeps (ITU-T H.264,
	// table A-1: MaxDpbMbs).
	const most, kept = 8, 184_320
	if refs := kept / r.Macroblocks(); e.preset == "slower" && refs < most {
		common = append(common, "-refs", strconv.Itoa(refs))
	}
	return append(common, "-c:v", "libx264", "-profile:v", "high", "-maxrate", rate, "-bufsize", strconv.Itoa(2*r.MaxRate),
		"-sc_threshold", "0", "-flags", "+cgop", "-aq-mode", "2")
}
