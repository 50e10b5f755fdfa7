package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// sweepAge keeps young sources that the log never named: an upload stores first and records afterwards.
const sweepAge = time.Hour

// RetireAfter is how long the media of an attempt stay after a newer one has replaced it: whoever watches the video then
// has its playlists in the player, and plays on to the end.
const RetireAfter = 6 * time.Hour

// PostponedError says that a task is to come again after a while; nothing has failed.
type PostponedError struct{ After time.Duration }

func (l *PostponedError) Error() string { return fmt.Sprintf("to be done in %s", l.After) }

// RetryAfter is for whoever carries the task.
func (l *PostponedError) RetryAfter() time.Duration { return l.After }

// sweepBatch is how many blobs one Delete removes at most (S3's DeleteObjects takes 1000 keys).
const sweepBatch = 500

// sweep removes a video's blobs that the log does not name: all of them when it is deleted, those of older attempts
// when a newer one is complete, those of failed runs when the attempt has ended.
func (w *Worker) sweep(ctx context.Context, t Task) error {
	young := w.Service.Now().Add(-sweepAge).Unix()
	return w.sweepVideo(ctx, t.Video, func(b StoredBlob) bool { // media may belong to another process's upload
		return strings.HasPrefix(b.Key, sourcesRoot) && b.Modified <= young
	})
}

// replacement is when the newest attempt that is complete has replaced another one.
type replacement struct {
	attempt int // that was replaced; 0 for none
	at      time.Time
}

func findReplacement(events []domain.Recorded) (last replacement) {
	serving := 0
	for _, r := range events {
		if e, ok := r.Event.(domain.RenditionProduced); ok && e.Attempt > serving {
			last = replacement{attempt: serving, at: r.Time}
			serving = e.Attempt
		}
	}
	return last
}

// left is for how much longer the media of the attempt that was replaced must stay.
func (r replacement) left(now time.Time) time.Duration {
	if r.attempt == 0 {
		return 0
	}
	return max(0, min(RetireAfter, RetireAfter-now.Sub(r.at))) // also where the clocks differ
}

// SweepAll does for every video what is swept when an attempt ends, and also removes the sources that an earlier
// process stored and did not come to record, with what it made of them ahead. Only for a process that is alone with its storage: it takes every upload
// that is not its own for dead. It may run beside everything else.
func (w *Worker) SweepAll(ctx context.Context) error {
	var ids []domain.VideoID
	seen := map[domain.VideoID]bool{}
	for _, kind := range []string{sourcesRoot, mediaRoot} {
		err := w.Service.Blobs.List(ctx, kind, func(b StoredBlob) error {
			name, _, _ := strings.Cut(strings.TrimPrefix(b.Key, kind), "/")
			if id := domain.VideoID(name); !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("list what is stored: %w", err)
		}
	}
	for _, id := range ids {
		err := w.sweepVideo(ctx, id, func(b StoredBlob) bool {
			_, uploading := w.Service.uploads.Load(b.Key)
			return !uploading
		})
		if _, later := errors.AsType[*PostponedError](err); err != nil && !later { // that video's own sweep comes again
			return err
		}
	}
	return nil
}

// sweepVideo asks abandoned about each source that the log never named, and about media of an attempt to come.
func (w *Worker) sweepVideo(ctx context.Context, id domain.VideoID, abandoned func(StoredBlob) bool) error {
	// In this order: what was abandoned before the log was read is not in the log later.
	left := map[string]bool{}
	for _, prefix := range BlobPrefixes(id) {
		err := w.Service.Blobs.List(ctx, prefix, func(b StoredBlob) error {
			left[b.Key] = abandoned(b)
			return nil
		})
		if err != nil {
			return fmt.Errorf("sweep video %s: %w", id, err)
		}
	}
	events, err := w.Service.Log.ReadStream(ctx, string(id), 0)
	if err != nil {
		return fmt.Errorf("load video %s: %w", id, err)
	}
	if len(events) == 0 { // nothing is known of it, so nothing is known to be superfluous
		return nil
	}
	v := domain.LoadVideo(events)
	young := w.Service.Now().Add(-sweepAge).Unix()
	live, replaced := map[string]bool{}, map[string]bool{}
	now := w.Service.Now()
	for _, b := range LiveBlobs(events, now) {
		live[b.Key] = true
	}
	for _, r := range events {
		if e, ok := r.Event.(domain.VideoUploaded); ok {
			replaced[e.Source.Key] = !live[e.Source.Key]
		}
	}
	keep := func(b StoredBlob) bool {
		if v.Deleted {
			return false
		}
		if live[b.Key] {
			return true
		}
		if strings.HasPrefix(b.Key, sourcesPrefix(id)) {
			return !replaced[b.Key] && !left[b.Key]
		}
		// A run stores its blobs before it records them, for as long as its encode takes. The sweep at the attempt's end
		// finds what is left over.
		attempt, ok := attemptOf(id, b.Key)
		if ok && b.Modified > young && ToBeNamed(v, b.Key) {
			return true
		}
		return !ok || (attempt > v.Attempt && !left[b.Key]) || (attempt == v.Attempt && v.InWork())
	}
	for _, prefix := range BlobPrefixes(id) {
		if err := w.sweepPrefix(ctx, prefix, keep); err != nil {
			return fmt.Errorf("sweep %s: %w", prefix, err)
		}
	}
	if left := findReplacement(events).left(now); left > 0 && !v.Deleted {
		return &PostponedError{After: left}
	}
	return nil
}

func (w *Worker) sweepPrefix(ctx context.Context, prefix string, keep func(StoredBlob) bool) error {
	var gone []string
	err := w.Service.Blobs.List(ctx, prefix, func(b StoredBlob) error {
		if !keep(b) {
			gone = append(gone, b.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(gone) > 0 {
		n := min(len(gone), sweepBatch)
		if err := w.Service.Blobs.Delete(ctx, gone[:n]...); err != nil {
			return err
		}
		gone = gone[n:]
	}
	return nil
}

// attemptOf reads the attempt out of a key of media/<video>/a<attempt>/...
func attemptOf(id domain.VideoID, key string) (int, bool) {
	rest, ok := strings.CutPrefix(key, mediaPrefix(id)+"a")
	if !ok {
		return 0, false
	}
	digits, _, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// LiveBlobs returns the blobs that a video's events name and that must exist: the newest source, the media of the
// newest complete attempt and of every later one, those of the one before that for RetireAfter, and the caption tracks,
// each once. None for a deleted video.
func LiveBlobs(events []domain.Recorded, now time.Time) []domain.Blob {
	v := domain.LoadVideo(events)
	if !v.Exists() {
		return nil
	}
	from := v.Serving
	if old := findReplacement(events); old.left(now) > 0 {
		from = old.attempt
	}
	var blobs []domain.Blob
	if v.Source != nil {
		blobs = append(blobs, v.Source.Source)
	}
	type caption struct {
		attempt int
		name    string
	}
	captions := map[caption]domain.Blob{}
	for _, r := range events {
		switch e := r.Event.(type) {
		case domain.ChunkTranscoded:
			if e.Attempt >= from {
				for _, c := range e.Renditions {
					blobs = append(blobs, c.Init)
					blobs = appendSegments(blobs, c.Segments)
				}
			}
		case domain.SourceRemuxed:
			if e.Attempt >= from {
				blobs = appendSegments(append(blobs, e.Init), e.Segments)
			}
		case domain.AudioTranscoded:
			if e.Attempt >= from {
				blobs = appendSegments(append(blobs, e.Init), e.Segments)
			}
		case domain.PosterProduced:
			if e.Attempt >= from {
				blobs = append(blobs, e.Image)
			}
		case domain.StoryboardProduced:
			if e.Attempt >= from {
				blobs = append(blobs, e.Image)
			}
		case domain.PreviewProduced:
			if e.Attempt >= from {
				blobs = append(blobs, e.Image)
			}
		case domain.CaptionAdded:
			if e.Attempt == 0 || e.Attempt >= from {
				captions[caption{e.Attempt, cmp.Or(e.Name, e.Language)}] = e.File
			}
		case domain.CaptionRemoved:
			delete(captions, caption{name: e.Language})
		case domain.VideoCreated, domain.VideoDetailsChanged, domain.PlaybackPolicyChanged, domain.VideoUploaded,
			domain.TranscodeRequested, domain.SourceInspected, domain.SourceRejected, domain.TranscodePlanned, domain.AudioLeftOut,
			domain.RenditionProduced, domain.TranscodeFailed, domain.VideoPublished, domain.VideoUnpublished,
			domain.VideoDeleted, domain.VideoErased:
		}
	}
	for _, b := range captions {
		blobs = append(blobs, b)
	}
	seen := map[string]bool{} // each part of the audio names its init segment
	return slices.DeleteFunc(blobs, func(b domain.Blob) bool {
		again := seen[b.Key]
		seen[b.Key] = true
		return again
	})
}

func appendSegments(blobs []domain.Blob, segments []domain.Segment) []domain.Blob {
	for _, s := range segments {
		blobs = append(blobs, s.Blob)
	}
	return blobs
}

// IsAhead says whether a key is one of media that is made of an upload that is under way, before it is recorded.
func IsAhead(v domain.Video, key string) bool {
	attempt, ok := attemptOf(v.ID, key)
	return ok && attempt > v.Attempt
}
