package ffmpeg

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// maxCaptions is how much of a track of text is taken: two hours of talk are 150 kB.
const maxCaptions = 4 << 20

func captionInfos(p probe) (infos []domain.CaptionInfo) {
	for _, s := range p.captions {
		infos = append(infos, domain.CaptionInfo{
			Track: s.Index, Codec: s.Codec, Language: language(s.Tags["language"]), Title: domain.CleanLabel(s.Tags["title"]),
		})
	}
	return infos
}

// ReadCaptions is described at commands.Encoder. The file is read once for all tracks.
func (e *Encoder) ReadCaptions(ctx context.Context, path string, source domain.SourceInfo) ([]commands.CaptionTrack, error) {
	p, err := e.probe(ctx, path)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error"}, e.timedArgs(p.container)...)
	args = append(args, "-vn", "-an", "-i", inputMark)
	texts := make([]bytes.Buffer, len(source.Captions))
	var outputs []func(io.Reader) error
	for i, c := range source.Captions {
		args = append(args, "-map", "0:"+strconv.Itoa(c.Track), "-map_metadata", "-1", "-c:s", "webvtt", "-f", "webvtt", "-flush_packets", "1",
			fmt.Sprintf("pipe:%d", 3+i))
		outputs = append(outputs, func(r io.Reader) error {
			if _, err := io.Copy(&texts[i], io.LimitReader(r, maxCaptions)); err != nil {
				return fmt.Errorf("read captions: %w", err)
			}
			return discard(r)
		})
	}
	args = append(args, "-progress", fmt.Sprintf("pipe:%d", 3+len(outputs)))
	res, err := e.run(ctx, process{program: e.ffmpeg, nice: besidePictures, input: path, args: args, outputs: append(outputs, discard)})
	if err != nil {
		return nil, fmt.Errorf("read the captions: %w", sourceFault(ctx, err, res))
	}
	var tracks []commands.CaptionTrack
	for i, c := range source.Captions {
		if text, cues := cleanVTT(texts[i].Bytes(), source.Duration); cues > 0 {
			tracks = append(tracks, commands.CaptionTrack{Info: c, Text: text})
		}
	}
	return tracks, nil
}

// chapter is what ffprobe says of one.
type chapter struct {
	Start string            `json:"start_time"`
	End   string            `json:"end_time"`
	Tags  map[string]string `json:"tags"`
}

// chapters puts them on the video's time line, in order.
func chapters(p probe, duration float64) (list []domain.Chapter) {
	for i, c := range p.chapters {
		start, err := strconv.ParseFloat(c.Start, 64)
		if err != nil {
			continue
		}
		start = max(0, start-p.start)
		end, err := strconv.ParseFloat(c.End, 64)
		if end = min(duration, end-p.start); err != nil || !(end > start) {
			continue
		}
		title := domain.CleanLabel(c.Tags["title"])
		if title == "" {
			title = "Chapter " + strconv.Itoa(i+1)
		}
		list = append(list, domain.Chapter{Title: title, Start: start, End: end})
	}
	slices.SortStableFunc(list, func(a, b domain.Chapter) int { return cmp.Compare(a.Start, b.Start) })
	for i := range len(list) - 1 {
		list[i].End = min(list[i].End, list[i+1].Start) // they do not overlap
	}
	return slices.DeleteFunc(list, func(c domain.Chapter) bool { return c.End <= c.Start })
}
