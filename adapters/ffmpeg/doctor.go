package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Check is one line of what "cinelog doctor" says.
type Check struct {
	Name   string
	OK     bool
	Detail string
}

// Doctor says whether this machine's FFmpeg has what is needed, and how well it is held.
func (e *Encoder) Doctor(ctx context.Context) []Check {
	version, err := e.ask(ctx, "-version")
	line, _, _ := strings.Cut(version, "\n")
	checks := []Check{{Name: "ffmpeg", OK: err == nil, Detail: detail(line, err)}}
	encoders, encodersErr := e.ask(ctx, "-encoders")
	filters, filtersErr := e.ask(ctx, "-filters")
	for _, need := range []struct {
		name, list, word string
		err              error
	}{
		{"H.264 encoder", encoders, " libx264 ", encodersErr},
		{"AAC encoder", encoders, " aac ", encodersErr},
		{"HDR tone mapping", filters, " zscale ", filtersErr},
		{"deinterlacing", filters, " bwdif ", filtersErr},
	} {
		ok := strings.Contains(need.list, need.word)
		text := strings.TrimSpace(need.word)
		if !ok && need.err == nil {
			text += " is missing from this FFmpeg"
		}
		checks = append(checks, Check{Name: need.name, OK: ok, Detail: detail(text, need.err)})
	}
	caged, reason := e.Caged()
	text := "FFmpeg runs in bubblewrap: no network, one file"
	if !caged {
		text = "FFmpeg runs without a sandbox: " + reason
	}
	return append(checks, Check{Name: "cage", OK: caged, Detail: text})
}

func (e *Encoder) ask(ctx context.Context, what string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, e.ffmpeg, "-hide_banner", what) //nolint:gosec // our own argv
	if what == "-version" {
		cmd = exec.CommandContext(ctx, e.ffmpeg, what) //nolint:gosec // our own argv
	}
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, io.Discard, os.Environ()
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w", e.ffmpeg, err)
	}
	return out.String(), nil
}

func detail(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}
