package projections

import (
	"fmt"
	"math"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// Storyboard renders the WebVTT that says which part of the storyboard's image (Media Fragments URI 1.0, 4.2.2) shows
// which moment, as players read it for their seek bars. ErrNotFound when there is none.
func Storyboard(p Playback, image string) ([]byte, error) {
	s := p.Storyboard
	if s == nil || s.Interval <= 0 || s.Columns <= 0 {
		return nil, fmt.Errorf("a storyboard of video %s: %w", p.ID, domain.ErrNotFound)
	}
	tiles := min(s.Columns*s.Rows, max(1, int(math.Ceil(p.Duration/s.Interval))))
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i := range tiles {
		end := float64(i+1) * s.Interval
		if i == tiles-1 {
			end = p.Duration
		}
		fmt.Fprintf(&b, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", vttTime(float64(i)*s.Interval), vttTime(end),
			image, i%s.Columns*s.Width, i/s.Columns*s.Height, s.Width, s.Height)
	}
	return []byte(b.String()), nil
}

// vttTime writes a time as WebVTT wants it.
func vttTime(seconds float64) string {
	ms := int64(math.Round(seconds * 1000))
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
