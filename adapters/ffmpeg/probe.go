package ffmpeg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// stream is what ffprobe says of a track.
type stream struct {
	Index       int               `json:"index"`
	ID          string            `json:"id"`
	Type        string            `json:"codec_type"`
	Codec       string            `json:"codec_name"`
	Profile     string            `json:"profile"`
	Level       int               `json:"level"`
	PixelFormat string            `json:"pix_fmt"`
	Width       int               `json:"width"`
	Height      int               `json:"height"`
	Aspect      string            `json:"sample_aspect_ratio"`
	FieldOrder  string            `json:"field_order"`
	Transfer    string            `json:"color_transfer"`
	Matrix      string            `json:"color_space"`
	Range       string            `json:"color_range"`
	Frames      string            `json:"nb_frames"`
	Start       string            `json:"start_time"`
	Reordered   int               `json:"has_b_frames"`
	Channels    int               `json:"channels"`
	SampleRate  string            `json:"sample_rate"`
	Disposition map[string]int    `json:"disposition"`
	Tags        map[string]string `json:"tags"`
	SideData    []sideData        `json:"side_data_list"`
}

// probe is a source as its headers tell it, with the tracks that are used of it.
type probe struct {
	container container
	start     float64
	lead      float64 // see seekLead
	duration  string
	video     stream
	audio     []stream // what players begin with first
	captions  []stream
	unheard   bool // there is a track of sound of which no more than its codec was found
	chapters  []chapter
}

// probe reads the headers. The choice of tracks depends on nothing else, so that every task of a video chooses alike.
func (e *Encoder) probe(ctx context.Context, path string) (probe, error) {
	file, err := openable(path)
	if err != nil {
		return probe{}, err
	}
	if p, ok := e.probed.get(path, file, e.arriving(path) != nil); ok {
		return p, nil
	}
	if err := e.awaitStart(ctx, path); err != nil {
		return probe{}, err
	}
	p, err := e.readHeaders(ctx, path)
	if err == nil {
		e.probed.put(path, file, p)
	}
	return p, err
}

// maxHeaders is more than ffprobe tells of a thousand tracks, the most that it opens.
const maxHeaders = 8 << 20

func (e *Encoder) readHeaders(ctx context.Context, path string) (probe, error) {
	c, err := sniff(path)
	if err != nil {
		return probe{}, err
	}
	p, err := e.askHeaders(ctx, path, c)
	if err == nil && p.unheard {
		p, err = e.askHeaders(ctx, path, c, "-analyzeduration", "1000000000000", "-probesize", strconv.Itoa(maxUnheard))
	}
	if err == nil {
		p.lead, err = e.seekLead(path, p)
	}
	return p, err
}

// maxUnheard is how many bytes are searched for the first sound of a track that a container without a header names (MPEG-TS):
// usually it comes within 5 s. ffprobe has them in memory.
const maxUnheard = 64 << 20

func (e *Encoder) askHeaders(ctx context.Context, path string, c container, options ...string) (probe, error) {
	p := probe{container: c}
	var doc struct {
		Streams  []stream  `json:"streams"`
		Chapters []chapter `json:"chapters"`
		Format   struct {
			Start    string `json:"start_time"`
			Duration string `json:"duration"`
		} `json:"format"`
	}
	var out bytes.Buffer
	args := slices.Concat([]string{"-v", "error"}, options, e.inputArgs(c))
	args = append(args, "-show_streams", "-show_chapters", "-show_entries", "format=start_time,duration", "-of", "json", "-o", "pipe:3", inputMark)
	res, err := e.run(ctx, process{program: e.ffprobe, input: path, args: args, outputs: []func(io.Reader) error{
		func(r io.Reader) error {
			n, err := io.Copy(&out, io.LimitReader(r, maxHeaders))
			if n == maxHeaders {
				return &domain.Failure{Code: domain.Malformed, Detail: "the header has far more tracks or titles than any video"}
			}
			return err //nolint:wrapcheck // a pipe's
		},
	}})
	if err != nil {
		if err = sourceFault(ctx, err, res); strings.Contains(res.stderr, "error reading header") && strings.Contains(res.stderr, "Cannot allocate memory") {
			// No header needs what one process may take: a number in it is wrong.
			err = &domain.Failure{Code: domain.Malformed, Detail: "the file cannot be read: " + res.stderr}
		}
		return p, err
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		return p, fmt.Errorf("read what ffprobe says: %w", err)
	}
	p.duration = doc.Format.Duration
	p.start, _ = strconv.ParseFloat(doc.Format.Start, 64) // "N/A" is 0
	p.chapters = doc.Chapters[:min(len(doc.Chapters), domain.MaxChapters)]
	return p, p.choose(doc.Streams)
}

// choose takes the first real video track, and all tracks of sound and text that can be decoded.
func (p *probe) choose(streams []stream) error {
	var video, empty, unsupported *stream
	for i := range streams {
		s := &streams[i]
		switch {
		case s.Type == "audio" && allowed(audioDecoders, s.Codec) && s.Channels > 0:
			p.audio = append(p.audio, *s)
		case s.Type == "audio" && allowed(audioDecoders, s.Codec):
			p.unheard = true
		case s.Type == "subtitle" && allowed(textDecoders, s.Codec) && len(p.captions) < domain.MaxCaptions:
			p.captions = append(p.captions, *s)
		case s.Type != "video" || s.Disposition["attached_pic"] == 1:
		case !allowed(videoDecoders, s.Codec):
			if unsupported == nil {
				unsupported = s
			}
		case s.Width == 0 || s.Height == 0 || s.PixelFormat == "":
			if empty == nil {
				empty = s
			}
		case video == nil, frameCount(*video) == 0 && frameCount(*s) > 0:
			video = s
		}
	}
	p.audio = mainFirst(p.audio)
	switch {
	case video != nil:
		p.video = *video
		return nil
	case unsupported != nil:
		return &domain.Failure{Code: domain.UnsupportedCodec, Detail: fmt.Sprintf("the video codec %q is not supported", unsupported.Codec)}
	case empty != nil:
		return &domain.Failure{Code: domain.Malformed, Detail: "the video track holds no picture that can be decoded"}
	case p.container.cut:
		return &domain.Failure{Code: domain.Malformed, Detail: "the file is cut off within its header"}
	}
	return &domain.Failure{Code: domain.NoVideoTrack, Detail: "the file has no video track"}
}

func frameCount(s stream) int {
	n, _ := strconv.Atoi(s.Frames) // unknown is 0
	return n
}

// inputArgs stand before every input: nothing but this file, this demuxer and these decoders.
func (e *Encoder) inputArgs(c container) []string {
	args := []string{
		"-protocol_whitelist", "file,pipe", "-f", c.demuxer, "-format_whitelist", c.demuxer,
		"-codec_whitelist", strings.Join(strings.Fields(videoDecoders+" "+audioDecoders+" "+subtitleDecoders), ","),
		"-max_pixels", strconv.Itoa(e.opts.MaxPixels),
	}
	if c.demuxer == "mpegts" {
		args = append(args, "-merge_pmt_versions", "1") // a track goes on where the program gives it another number
	}
	return args
}

// timedArgs are inputArgs for FFmpeg where times matter. Of formats whose times may jump (MPEG-TS and its like) it counts from
// the first packet of the tracks that it decodes, and not of the file: sound and picture, which are read apart, would lose
// what is between their beginnings. It does not where the file is shifted, by whatever little.
func (e *Encoder) timedArgs(c container) []string {
	args := e.inputArgs(c)
	if c.noSeek != "" {
		args = append(args, "-itsoffset", "0.000001")
	}
	return args
}

// The decoders that are let near a source: what cameras, phones, browsers and editors write. FFmpeg has 500 more, most
// of them for files that nobody uploads but somebody who looks for a bug in them.
const (
	videoDecoders = "h264 hevc vp8 vp9 av1 libdav1d libaom-av1 mpeg4 mpeg2video mpeg1video h263 h263p msmpeg4v2 msmpeg4v3 wmv1 wmv2 " +
		"wmv3 vc1 flv flv1 theora prores dnxhd mjpeg dvvideo ffv1 vp6f vp6 qtrle cfhd rawvideo"
	audioDecoders = "aac aac_latm mp3 mp3float mp2 mp2float mp1 ac3 eac3 dca dts opus libopus vorbis flac alac pcm_s16le pcm_s16be pcm_s24le " +
		"pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_u8 pcm_s8 pcm_alaw pcm_mulaw pcm_bluray pcm_dvd amrnb amr_nb amrwb amr_wb " +
		"wmav1 wmav2 wmapro truehd mlp nellymoser speex libspeex adpcm_ima_wav adpcm_ima_qt adpcm_ms adpcm_swf"
	textDecoders = "subrip srt ass ssa mov_text webvtt text"
	// Nothing is made of the ones with pictures, but ffprobe opens every track and gives up at one that it may not.
	subtitleDecoders = textDecoders + " pgssub dvdsub dvbsub"
)

func allowed(list, codec string) bool {
	return slices.Contains(strings.Fields(list), codec)
}

// sourceFault tells the source's faults from the machine's: what ffprobe or FFmpeg cannot open is malformed for ever,
// what was killed or ran into a wall may go better elsewhere.
func sourceFault(ctx context.Context, err error, res result) error {
	var exit interface{ ExitCode() int }
	if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() < 0 || exit.ExitCode() >= 126 {
		return err
	}
	// Of a header that is cut the demuxer of Matroska says that it was an input/output error.
	if strings.Contains(res.stderr, "File ended prematurely") || strings.Contains(res.stderr, "Truncating packet of size") {
		return &domain.Failure{Code: domain.Malformed, Detail: "the file cannot be read: " + res.stderr}
	}
	for _, ours := range []string{"bwrap: ", "sh: ", "Cannot allocate memory", "Permission denied", "No such file or directory", "Input/output error"} {
		if strings.Contains(res.stderr, ours) {
			return err // the cage's or the machine's fault
		}
	}
	if _, codec, found := strings.Cut(res.stderr, "Codec ("); found && strings.Contains(res.stderr, "not on whitelist") {
		codec, _, _ = strings.Cut(codec, ")")
		return &domain.Failure{Code: domain.UnsupportedCodec, Detail: fmt.Sprintf("the codec %q is not supported", codec)}
	}
	if strings.Contains(res.stderr, "exceeds specified max pixel count") {
		return &domain.Failure{Code: domain.ResolutionTooHigh, Detail: "its pictures have more pixels than are accepted: " + res.stderr}
	}
	if strings.Contains(res.stderr, "encryption") {
		return &domain.Failure{Code: domain.Encrypted, Detail: "the file is encrypted"}
	}
	return &domain.Failure{Code: domain.Malformed, Detail: "the file cannot be read: " + res.stderr}
}
