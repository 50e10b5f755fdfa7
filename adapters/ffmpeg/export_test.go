package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// SplitFragments, CodecString and the rest open to the tests what an untrusted process's bytes go through.
func SplitFragments(r io.Reader) (init []byte, samples int, err error) {
	err = splitFragments(r, func(b []byte) error { init = b; return nil }, func(f *fragment) error {
		samples += len(f.samples)
		return f.retime(7, 1<<40, f.samples[0].offset)
	})
	return init, samples, err
}

// CodecString is codecString.
func CodecString(init []byte) (string, error) { return codecString(init) }

// Timescale is timescale.
func Timescale(init []byte) (uint32, error) { return timescale(init) }

// Sniff is sniff, by the demuxer it chose.
func Sniff(path string) (string, error) {
	c, err := sniff(path)
	return c.demuxer, err
}

// Lead is how much earlier than a time FFmpeg is sent to find its picture.
func (e *Encoder) Lead(ctx context.Context, path string) (float64, error) {
	p, err := e.probe(ctx, path)
	return p.lead, err
}

// Tables reads the timing of an MP4 file from its sample tables, of track 1 and, if asked, the sound of track 2.
func Tables(file []byte, audio bool) (pictures, sounds int, measured string, sane, ok bool) {
	p := probe{video: stream{ID: "0x1"}}
	if audio {
		p.audio = []stream{{ID: "0x2"}}
	}
	t, ok := readTables(bytes.NewReader(file), int64(len(file)), p)
	if !ok {
		return 0, 0, "", true, false
	}
	pictures = len(t.video)
	m := t.measure()
	_ = remuxable(probe{video: stream{Codec: "h264", PixelFormat: "yuv420p", Profile: "High"}}, t, m, domain.SourceInfo{Transfer: domain.SDR})
	for _, s := range t.sound {
		sounds += s.packets
	}
	return pictures, sounds, fmt.Sprintf("%+v", m), m.frames >= 1 && m.duration > 0 && m.duration < 3*maxSeconds && m.rate.Float() > 0, true
}

// Clean is clean.
func Clean(b []byte) string { return clean(b) }

// Timings reads a file's timing from its sample table and from its packets. table is false where only the latter can be.
// Left out is what FFmpeg guesses: how long the last picture is shown, and whether the last sound is cut.
func (e *Encoder) Timings(ctx context.Context, path string) (difference string, table bool, err error) {
	p, err := e.probe(ctx, path)
	if err != nil {
		return "", false, err
	}
	f, table := e.tableTiming(path, p)
	if !table {
		return "", false, nil
	}
	t, err := e.scanPackets(ctx, path, p)
	if err != nil {
		return "", true, err
	}
	for i := range f.sound {
		if off := f.sound[i].end - t.sound[i].end; off > -25e3 && off < 25e3 {
			f.sound[i].end, f.sound[i].heard = t.sound[i].end, t.sound[i].heard
		}
		f.sound[i].packets, t.sound[i].packets = min(f.sound[i].packets, 1), min(t.sound[i].packets, 1)
	}
	f.audioEnd, t.audioEnd = f.heard(), t.heard()
	text := func(t timing) string {
		t.lastFrame = 0
		return strings.ReplaceAll(fmt.Sprintf("%+v", t), " ", "\n")
	}
	return cmp.Diff(text(*t), text(*f)), true, nil
}

// CleanVTT is cleanVTT.
func CleanVTT(data string, duration float64) (text string, cues int) {
	b, cues := cleanVTT([]byte(data), duration)
	return string(b), cues
}

// Scaled is scaled.
func Scaled(rungs []domain.Rung) string { return scaled(rungs) }

// ChunkArgs is chunkArgs for a source of which nothing is known.
func (e *Encoder) ChunkArgs(job commands.ChunkJob) []string { return e.chunkArgs(job, probe{}) }

// Beside runs ffprobe without arguments as what stands back for the pictures.
func (e *Encoder) Beside(ctx context.Context) error {
	_, err := e.run(ctx, process{program: e.ffprobe, nice: besidePictures})
	return err
}

// BesidePictures is besidePictures.
const BesidePictures = besidePictures
