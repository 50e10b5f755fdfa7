package ffmpeg

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// Inspect is described at commands.Encoder.
func (e *Encoder) Inspect(ctx context.Context, path string) (domain.SourceInfo, error) {
	p, err := e.probe(ctx, path)
	if err != nil {
		return domain.SourceInfo{}, err
	}
	if p.video.Width*p.video.Height > e.opts.MaxPixels || max(p.video.Width, p.video.Height) > maxSourceSide {
		return domain.SourceInfo{}, &domain.Failure{
			Code: domain.ResolutionTooHigh, Detail: fmt.Sprintf("%d×%d pixels are more than is accepted", p.video.Width, p.video.Height),
		}
	}
	// Somebody is waiting, so the start is decoded while the packets are listed.
	beside, cancel := context.WithCancel(ctx)
	var startErr error
	var start sync.WaitGroup
	start.Go(func() { startErr = e.decodeStart(beside, path, p) })
	defer start.Wait()
	defer cancel()
	t, err := e.scan(ctx, path, p)
	if err != nil {
		return domain.SourceInfo{}, err
	}
	if len(t.video)+t.unordered == 0 {
		return domain.SourceInfo{}, &domain.Failure{Code: domain.Malformed, Detail: "the video track has no frames"}
	}
	if isStill(p.video.Codec) && len(t.video)+t.unordered == 1 {
		return domain.SourceInfo{}, notAVideo("the file is a still image")
	}
	m := t.measure()
	if len(t.video) == 0 {
		m = untimed(t, p)
	}
	if m.duration > e.opts.MaxDuration.Seconds() {
		return domain.SourceInfo{}, &domain.Failure{
			Code: domain.TooLong, Detail: fmt.Sprintf("%.0f s are longer than %s", m.duration, e.opts.MaxDuration),
		}
	}
	if start.Wait(); startErr != nil {
		return domain.SourceInfo{}, startErr
	}
	return describe(p, t, m), nil
}

// maxSourceSide is the longest side that encoders take; longer ones, of next to no height, are nothing to look at.
const maxSourceSide = 16384

func isStill(codec string) bool { return codec == "mjpeg" || codec == "rawvideo" }

// untimed is for sources whose frames have no times: the header's length is all there is.
func untimed(t *timing, p probe) measured {
	m := measured{rate: domain.Rational{Num: 25, Den: 1}, noSeek: "its frames have no times"}
	m.duration = m.rate.Seconds(t.unordered)
	if d, err := strconv.ParseFloat(p.duration, 64); err == nil && d > 0 && d < 4*m.duration {
		m.rate = snap(float64(t.unordered)/d, true)
		m.duration = d
	}
	m.frames = max(1, int(math.Round(m.duration*m.rate.Float())))
	return m
}

// startFrames is how many frames are decoded to see that they can be.
const startFrames = 60

// decodeStart refuses what does not decode, or only to noise.
func (e *Encoder) decodeStart(ctx context.Context, path string, p probe) error {
	args := append(e.inputArgs(p.container), "-an", "-i", inputMark, "-map", "0:"+strconv.Itoa(p.video.Index), "-frames:v", strconv.Itoa(startFrames), "-t", "120")
	frames, res, err := e.decode(ctx, path, nil, e.opts.Threads, args)
	if err != nil {
		return sourceFault(ctx, err, res)
	}
	if frames == 0 {
		return &domain.Failure{Code: domain.Malformed, Detail: "no frame can be decoded: " + res.stderr}
	}
	// What was encrypted without saying so "decodes" too: to frames that are nearly all concealed.
	if 2*res.noise > 20+frames {
		return &domain.Failure{Code: domain.Malformed, Detail: fmt.Sprintf("%d errors in the first %d frames: %s", res.noise, frames, res.stderr)}
	}
	return nil
}

// describe puts the headers and the measurements together.
func describe(p probe, t *timing, m measured) domain.SourceInfo {
	v := p.video
	rotation, _ := v.turned()
	width, height := float64(v.Width), float64(v.Height)
	if num, den, ok := ratio(v.Aspect); ok {
		// Squared by stretching the one side, so that no line of the source is lost.
		if num > den {
			width = width * num / den
		} else {
			height = height * den / num
		}
	}
	if rotation%180 != 0 {
		width, height = height, width
	}
	s := domain.SourceInfo{
		Container: p.container.name, VideoCodec: v.Codec, PixelFormat: v.PixelFormat,
		Width: max(1, int(math.Round(width))), Height: max(1, int(math.Round(height))), Rotation: rotation,
		FrameRate: m.rate, VFR: m.vfr, Interlaced: v.FieldOrder == "tt" || v.FieldOrder == "bb" || v.FieldOrder == "tb" || v.FieldOrder == "bt",
		Transfer: transfer(v), Alpha: hasAlpha(v.PixelFormat), Duration: m.duration, Frames: m.frames,
		NoSeek: m.noSeek,
	}
	if s.NoSeek == "" {
		s.NoSeek = p.container.noSeek
	}
	if s.NoSeek == "" && p.container.demuxer == "matroska" && (p.duration == "" || p.duration == "N/A") {
		s.NoSeek = "the WebM file has no index, as browsers record it"
	}
	s.Remux = remuxable(p, t, m, s)
	s.Captions, s.Chapters = captionInfos(p), chapters(p, s.Duration)
	return withSound(s, p, t)
}

// ratio reads "4:3"; a ratio that nobody means is none.
func ratio(s string) (num, den float64, ok bool) {
	a, b, found := strings.Cut(s, ":")
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if !found || errX != nil || errY != nil || x <= 0 || y <= 0 || x/y > 8 || y/x > 8 {
		return 1, 1, false
	}
	return x, y, true
}

// square says whether players show pixels as squares: a ratio that nobody means some of them keep to.
func square(aspect string) bool {
	a, b, found := strings.Cut(aspect, ":")
	return a == b || !found || a == "0" // "N/A" and "0:1" are unknown
}

func transfer(v stream) domain.Transfer {
	switch v.Transfer {
	case "smpte2084":
		return domain.PQ
	case "arib-std-b67":
		return domain.HLG
	}
	return domain.SDR
}

func hasAlpha(format string) bool {
	for _, prefix := range []string{"yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16"} {
		if strings.HasPrefix(format, prefix) {
			return true
		}
	}
	return false
}

// language turns the ISO 639-2 code of a container into BCP 47, which wants the short code where there is one.
func language(tag string) string {
	tag = strings.ToLower(strings.TrimSpace(tag))
	short := map[string]string{
		"eng": "en", "ger": "de", "deu": "de", "fre": "fr", "fra": "fr", "spa": "es", "ita": "it", "por": "pt", "rus": "ru", "jpn": "ja",
		"chi": "zh", "zho": "zh", "kor": "ko", "ara": "ar", "hin": "hi", "nld": "nl", "dut": "nl", "pol": "pl", "swe": "sv", "tur": "tr",
		"ces": "cs", "cze": "cs", "dan": "da", "fin": "fi", "nor": "no", "hun": "hu", "ell": "el", "gre": "el", "heb": "he", "ukr": "uk",
	}
	if s, ok := short[tag]; ok {
		return s
	}
	if tag == "und" || len(tag) < 2 || len(tag) > 3 || strings.Trim(tag, "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	return tag
}
