package ffmpeg

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// maxCueLines bounds what one cue puts on the screen.
const maxCueLines = 10

// cleanVTT makes plain text of what FFmpeg made of a stranger's captions: cues with times and words, no markup, no
// styles, no settings; within the video. The map ties it to media that begins at 0 (RFC 8216, 3.5).
func cleanVTT(data []byte, duration float64) (text []byte, cues int) {
	var b strings.Builder
	b.WriteString("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")
	clean := strings.ReplaceAll(string(bytes.ToValidUTF8(data, []byte("\uFFFD"))), "\r", "")
	for block := range strings.SplitSeq(clean, "\n\n") {
		times, body, found := strings.Cut(block, "\n")
		from, to, arrow := strings.Cut(times, " --> ")
		start, errStart := cueTime(from)
		end, errEnd := cueTime(to)
		if !found || !arrow || errStart != nil || errEnd != nil || start >= duration {
			continue
		}
		end = min(end, duration)
		words := cueText(body)
		if words == "" || end <= start {
			continue
		}
		fmt.Fprintf(&b, "\n%s --> %s\n%s\n", formatCueTime(start), formatCueTime(end), words)
		cues++
	}
	return []byte(b.String()), cues
}

// cueText drops markup and empty lines. What is left is escaped, so that it holds neither a tag nor an arrow.
func cueText(body string) string {
	body = regexp.MustCompile(`</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}`).ReplaceAllString(body, "")
	var lines []string
	for line := range strings.SplitSeq(html.UnescapeString(body), "\n") {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if r == '\t' || !unicode.IsPrint(r) && !unicode.IsSpace(r) && r != '\u200d' && r != '\u200c' {
				return ' '
			}
			return r
		}, line))
		if line != "" && len(lines) < maxCueLines {
			lines = append(lines, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// cueTime reads "01:02:03.004" or "02:03.004".
func cueTime(s string) (seconds float64, err error) {
	for part := range strings.SplitSeq(strings.TrimSpace(s), ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			return 0, fmt.Errorf("the time %q of a cue: %w", s, strconv.ErrSyntax)
		}
		seconds = seconds*60 + n
	}
	return seconds, nil
}

func formatCueTime(seconds float64) string {
	ms := int64(math.Round(seconds * 1000))
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
