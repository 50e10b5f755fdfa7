package projections

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// Chapters renders the chapters as WebVTT (kind "chapters" of HTML's track element). ErrNotFound when there are none.
func Chapters(p Playback) ([]byte, error) {
	if len(p.Chapters) == 0 {
		return nil, fmt.Errorf("chapters of video %s: %w", p.ID, domain.ErrNotFound)
	}
	var b strings.Builder
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	b.WriteString("WEBVTT\n")
	for _, c := range p.Chapters {
		fmt.Fprintf(&b, "\n%s --> %s\n%s\n", vttTime(c.Start), vttTime(c.End), escape.Replace(c.Title))
	}
	return []byte(b.String()), nil
}

// ChaptersJSON renders them as Apple's players read them (com.apple.hls.chapters). ErrNotFound when there are none.
func ChaptersJSON(p Playback) ([]byte, error) {
	if len(p.Chapters) == 0 {
		return nil, fmt.Errorf("chapters of video %s: %w", p.ID, domain.ErrNotFound)
	}
	type title struct {
		Language string `json:"language"`
		Title    string `json:"title"`
	}
	type chapter struct {
		Number   int     `json:"chapter"`
		Start    float64 `json:"start-time"`
		Duration float64 `json:"duration"`
		Titles   []title `json:"titles"`
	}
	chapters := make([]chapter, len(p.Chapters))
	for i, c := range p.Chapters {
		chapters[i] = chapter{Number: i + 1, Start: c.Start, Duration: c.End - c.Start, Titles: []title{{"und", c.Title}}}
	}
	text, err := json.Marshal(chapters)
	if err != nil {
		return nil, fmt.Errorf("write the chapters of video %s: %w", p.ID, err)
	}
	return text, nil
}
