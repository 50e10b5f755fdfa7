package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

// PreviewJob says what MakePreviews is to make.
type PreviewJob struct {
	Init          []byte // of the rendition
	FrameRate     domain.Rational
	Width, Height int // of the rendition
	// Tiles are pieces whose first frames become the storyboard, in this order.
	Tiles []Piece
	// Moments are pieces whose beginnings, one after the other, become the moving preview.
	Moments []Piece
}

// Piece reads some fragments of a rendition, the first frame of which is a keyframe.
type Piece func(context.Context) ([]byte, error)

// Previews are images of a whole video.
type Previews struct {
	Storyboard            []byte // JPEG
	Columns, Rows         int
	TileWidth, TileHeight int
	Blank                 []bool // by tile: next to nothing can be seen, as in a fade from black
	Best                  int    // the tile that shows most
	Moving                []byte // WebP; none when this FFmpeg cannot make one
	Width, Height         int    // of Moving
	Duration              float64
}

// What previews are made of.
const (
	maxTiles        = 100
	minTileInterval = 2.0 // seconds: there is a keyframe each 2 s
	maxMoments      = 6
	posterWidth     = 1280
	previewWidth    = 320 // of the rendition that is used, at least, if there is one
)

// previewsPiece names the runs that make previews in the keys of what they store.
const previewsPiece = "previews"

// ToBeNamed says whether a blob that no event names may be named by one that is still to come, though the attempt that
// it belongs to is complete.
func ToBeNamed(v domain.Video, key string) bool {
	rest, ok := strings.CutPrefix(key, attemptPrefix(v.ID, v.Attempt))
	return ok && (strings.HasPrefix(rest, previewsPiece+"-") && v.NeedsPreviews(v.Attempt) == nil ||
		strings.HasPrefix(rest, captionsPiece+"-") && v.NeedsCaptions(v.Attempt) == nil)
}

// previews makes the storyboard and the moving preview from keyframes of a small rendition, so that it costs the same
// for every length of video. Nothing waits for it and nothing fails with it.
func (w *Worker) previews(ctx context.Context, t Task) (err error) {
	events, err := w.Service.Log.ReadStream(ctx, string(t.Video), 0)
	if err != nil {
		return fmt.Errorf("load video %s: %w", t.Video, err)
	}
	v := domain.LoadVideo(events)
	needed := func(v domain.Video) error { return v.NeedsPreviews(t.Attempt) }
	if err := needed(v); err != nil {
		return err
	}
	out, err := newStoring(w.Service.Blobs, t, previewsPiece)
	if err != nil {
		return err
	}
	job, interval, err := w.previewJob(ctx, events, t.Attempt, *v.Run.Plan)
	if err != nil {
		return err
	}
	defer w.tell(ctx, t, previewsPiece)(&err)
	var storyboard domain.StoryboardProduced
	var preview *domain.PreviewProduced
	var poster *domain.PosterProduced
	err = w.watched(ctx, v, needed, func(ctx context.Context) error {
		made, err := w.Encoder.MakePreviews(ctx, job)
		if err != nil {
			return err
		}
		storyboard = domain.StoryboardProduced{
			Attempt: t.Attempt, Columns: made.Columns, Rows: made.Rows, Width: made.TileWidth, Height: made.TileHeight,
			Interval: interval,
		}
		err = out.put(ctx, "storyboard.jpg", made.Storyboard, func(b domain.Blob) { storyboard.Image = b })
		if err == nil && len(made.Moving) > 0 {
			preview = &domain.PreviewProduced{Attempt: t.Attempt, Width: made.Width, Height: made.Height, Duration: made.Duration}
			err = out.put(ctx, "preview.webp", made.Moving, func(b domain.Blob) { preview.Image = b })
		}
		if image := w.betterPoster(ctx, events, t.Attempt, *v.Run.Plan, made, interval); image != nil && err == nil {
			err = out.Poster(ctx, *image)
		}
		err = errors.Join(err, out.wait())
		if poster = out.poster; poster != nil {
			poster.Attempt = t.Attempt
		}
		return err
	})
	if err != nil {
		w.Service.discard(ctx, out.stored()...)
		return err
	}
	err = w.decide(ctx, t, func(v domain.Video) ([]domain.Event, error) { return v.RecordPreviews(storyboard, preview, poster) })
	if errors.Is(err, domain.ErrSuperseded) { // after any other error the log may name the blobs
		w.Service.discard(ctx, out.stored()...)
	}
	return err
}

// previewJob chooses the rendition and the moments.
func (w *Worker) previewJob(
	ctx context.Context, events []domain.Recorded, attempt int, plan domain.Plan,
) (job PreviewJob, interval float64, err error) {
	rung := plan.Rungs[0]
	for _, r := range slices.Backward(plan.Rungs) {
		if r.Width >= previewWidth {
			rung = r
			break
		}
	}
	init, groups := findGroups(events, attempt, rung.Name)
	if len(groups) == 0 {
		return job, 0, &domain.Failure{Code: domain.Internal, Detail: "rendition " + rung.Name + " has no keyframes"}
	}
	job = PreviewJob{FrameRate: plan.FrameRate, Width: rung.Width, Height: rung.Height}
	if job.Init, err = w.read(ctx, init.Key, 0, init.Bytes); err != nil {
		return job, 0, err
	}
	duration := plan.FrameRate.Seconds(plan.Frames)
	interval = max(minTileInterval, math.Ceil(duration/maxTiles))
	for i := range max(1, int(math.Ceil(duration/interval))) {
		job.Tiles = append(job.Tiles, w.piece(groupAt(groups, (float64(i)+0.5)*interval)))
	}
	moments := min(maxMoments, max(1, int(duration/minTileInterval)))
	var last group
	for i := range moments {
		// The same group is not shown twice, where keyframes are rare.
		if g := groupAt(groups, (float64(i)+0.5)*duration/float64(moments)); i == 0 || g != last {
			job.Moments = append(job.Moments, w.piece(g))
			last = g
		}
	}
	return job, interval, nil
}

// group is a keyframe with all that follows it up to the next one.
type group struct {
	key         string
	offset, end int64
	at          float64 // seconds from the start of the video
}

// findGroups lists what an attempt has of a rendition, in order.
func findGroups(events []domain.Recorded, attempt int, rendition string) (init domain.Blob, groups []group) {
	var chunks [][]domain.Segment
	for _, r := range events {
		switch e := r.Event.(type) { //nolint:gochecksumtype // no other event brings pictures
		case domain.ChunkTranscoded:
			for _, c := range e.Renditions {
				if e.Attempt == attempt && c.Name == rendition {
					for len(chunks) <= e.Chunk {
						chunks = append(chunks, nil)
					}
					init, chunks[e.Chunk] = c.Init, c.Segments
				}
			}
		case domain.SourceRemuxed:
			if e.Attempt == attempt && rendition == domain.RemuxName {
				init, chunks = e.Init, append(chunks, e.Segments)
			}
		default:
		}
	}
	at := 0.0
	for _, s := range slices.Concat(chunks...) {
		for i, k := range s.Keyframes {
			end := s.Bytes
			if i+1 < len(s.Keyframes) {
				end = s.Keyframes[i+1].Offset
			}
			groups = append(groups, group{key: s.Key, offset: k.Offset, end: end, at: at + k.Time})
		}
		at += s.Duration
	}
	return init, groups
}

// groupAt returns the last one that begins at or before a time.
func groupAt(groups []group, at float64) group {
	i, _ := slices.BinarySearchFunc(groups, at, func(g group, at float64) int {
		if g.at <= at {
			return -1
		}
		return 1
	})
	return groups[max(0, i-1)]
}

func (w *Worker) piece(g group) Piece {
	return func(ctx context.Context) ([]byte, error) { return w.read(ctx, g.key, g.offset, g.end) }
}

// read gives a part of a blob.
func (w *Worker) read(ctx context.Context, key string, from, to int64) ([]byte, error) {
	path, release, err := w.Service.Blobs.Local(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer release()
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer f.Close()
	data := make([]byte, max(0, to-from))
	if _, err := io.ReadFull(io.NewSectionReader(f, from, to-from), data); err != nil {
		return nil, fmt.Errorf("read %s from %d to %d: %w", key, from, to, err)
	}
	return data, nil
}
