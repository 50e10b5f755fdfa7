package output

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// Made is what was made of a source. Inputs are files or addresses that FFmpeg opens.
type Made struct {
	Source string
	Info   domain.SourceInfo
	Plan   domain.Plan
	// Chunk is the span of the plan's frames that the encoded renditions have.
	Chunk domain.Chunk
	// Renditions are the inputs by the names of the plan's rungs; rungs without one were not made.
	Renditions map[string]string
	// Sound is the track that players begin with, all of it; empty for none.
	Sound string
}

// Allowed says by how much a source may be missed.
type Allowed struct {
	Seconds    float64 // of its length; 0.1 when 0
	Similarity float64 // of the top rung (SSIM of the luma); Similar or SimilarShape when 0
	Tainted    bool    // its own decoder conceals errors or makes up pictures: they cannot be counted or compared
}

// The floors. HDR is compared with its own numbers, as they are without a tone mapping.
const (
	Similar      = 0.92
	SimilarShape = 0.85
)

// Figures are what was measured, for whoever wants to see how far from the floors it is.
type Figures struct {
	Seconds, Real float64 // of the renditions and of the source
	Pictures      int     // of the source
	Luma, All     float64 // mean SSIM of the top rung
	Worst         float64 // of its pictures
	Least         int     // the number of that picture
	Upright       float64 // correlation with the source's picture
	Turned        float64 // with the most similar one of those that are turned or mirrored
	Late          float64 // seconds by which the sound comes later than in the source
}

func (f Figures) String() string {
	return fmt.Sprintf("%.3f s of %.3f s, %d pictures, SSIM %.4f (all planes %.4f, worst picture %.4f), upright %.2f (turned %.2f), sound late by %.0f ms",
		f.Seconds, f.Real, f.Pictures, f.Luma, f.All, f.Worst, f.Upright, f.Turned, 1000*f.Late)
}

// Check holds what was made against the source and says what is wrong, nothing if all is well.
func Check(ctx context.Context, m Made, allowed Allowed) (f Figures, wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	source, err := decode(ctx, m.Source, m.soundTrack(), false)
	if err != nil {
		say("the source: %v", err)
		return f, wrong
	}
	f.Pictures, f.Real = len(source.pictures), source.seconds()
	f.Seconds = m.Plan.FrameRate.Seconds(m.Plan.Frames)
	if off := math.Abs(f.Seconds - f.Real); off > cmp.Or(allowed.Seconds, 0.1) {
		say("it lasts %.3f s, the source %.3f s", f.Seconds, f.Real)
	}
	for _, r := range m.Plan.Rungs {
		if input := m.Renditions[r.Name]; input != "" {
			for _, w := range m.rendition(ctx, r, input, source) {
				say("%s: %s", r.Name, w)
			}
		}
	}
	if m.Sound != "" {
		var s []string
		f.Late, s = m.sound(ctx)
		wrong = append(wrong, s...)
	}
	if encoded := m.encoded(); len(encoded) > 0 && !allowed.Tainted {
		floor := Similar
		if m.Info.Transfer != domain.SDR {
			floor = SimilarShape
		}
		wrong = append(wrong, m.look(ctx, encoded, cmp.Or(allowed.Similarity, floor), &f)...)
	}
	return f, wrong
}

func (m Made) soundTrack() int {
	if m.Info.Audio == nil {
		return -1
	}
	return m.Info.Audio.Track
}

// encoded returns the encoded rungs that were made, highest first.
func (m Made) encoded() []domain.Rung {
	return slices.DeleteFunc(slices.Clone(m.Plan.Encoded()), func(r domain.Rung) bool { return m.Renditions[r.Name] == "" })
}

// rendition checks one rendition by itself, and the source's own pictures bit by bit.
func (m Made) rendition(ctx context.Context, r domain.Rung, input string, source film) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	got, err := decode(ctx, input, -1, true)
	if err != nil {
		return []string{err.Error()}
	}
	if r.Remux {
		same := 0
		for i := range min(len(got.pictures), len(source.pictures)) {
			if got.pictures[i].sum == source.pictures[i].sum {
				same++
			}
		}
		if same != len(source.pictures) || len(got.pictures) != same {
			say("%d pictures, of which %d are the source's %d", len(got.pictures), same, len(source.pictures))
		}
		return wrong
	}
	if len(got.pictures) != m.Chunk.Frames {
		say("%d pictures decode, of %d", len(got.pictures), m.Chunk.Frames)
	}
	for i, p := range got.pictures {
		if want := m.Plan.FrameRate.Seconds(i); math.Abs(p.at-got.pictures[0].at-want) > 0.002 {
			say("picture %d is shown at %.4f s, not at %.4f s", i, p.at-got.pictures[0].at, want)
			break
		}
	}
	for _, w := range m.form(ctx, r, input) {
		say("%s", w)
	}
	return wrong
}

// form checks what a player must be told of the pictures.
func (m Made) form(ctx context.Context, r domain.Rung, input string) (wrong []string) {
	got, err := describe(ctx, input)
	if err != nil {
		return []string{err.Error()}
	}
	for field, want := range map[string]string{
		"width": strconv.Itoa(r.Width), "height": strconv.Itoa(r.Height), "sample_aspect_ratio": "1:1", "pix_fmt": "yuv420p",
		"color_range": "tv", "color_space": "bt709", "color_primaries": "bt709", "color_transfer": "bt709", "field_order": "progressive",
	} {
		if r.Codec != "" && r.Codec != domain.AVC && field == "field_order" {
			continue // others do not tell
		}
		if got[field] != want {
			wrong = append(wrong, fmt.Sprintf("%s is %q, not %q", field, got[field], want))
		}
	}
	if _, turned := got["rotation"]; turned {
		wrong = append(wrong, "it is to be turned by the player")
	}
	if r.Width%2 != 0 || r.Height%2 != 0 || !strings.HasPrefix(got["codec_tag_string"], map[string]string{"h264": "avc1", "hevc": "hvc1", "av1": "av01"}[got["codec_name"]]) {
		wrong = append(wrong, fmt.Sprintf("%d×%d, %s", r.Width, r.Height, got["codec_tag_string"]))
	}
	slices.Sort(wrong)
	return wrong
}
