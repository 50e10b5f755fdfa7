package domain

import (
	"errors"
	"fmt"
)

// Admits says why an event cannot have followed on a video as it is, nil where it can. Decisions see to that before an event
// is recorded; this is for whoever looks afterwards at a log. Evolve takes the event either way.
func (v Video) Admits(e Event) error {
	if _, first := e.(VideoCreated); first != (v.Version == 0) {
		if first {
			return errors.New("the video was created before")
		}
		return errors.New("the video was not created")
	}
	if _, erased := e.(VideoErased); erased != v.Deleted {
		if erased {
			return errors.New("the video is not deleted")
		}
		return errors.New("the video was deleted before")
	}
	switch e := e.(type) {
	case VideoCreated, VideoDetailsChanged, PlaybackPolicyChanged, CaptionRemoved, VideoDeleted, VideoErased:
		return nil
	case VideoUploaded:
		return errors.Join(v.CanUpload(), v.next(e.Attempt))
	case TranscodeRequested:
		if v.Source == nil || (v.InWork() && e.NoRemux == "") {
			return errors.New("there is no source, or it is in work")
		}
		return v.next(e.Attempt)
	case SourceInspected:
		if v.Run.Source != nil {
			return fmt.Errorf("attempt %d is inspected already", v.Attempt)
		}
		return v.current(e.Attempt)
	case SourceRejected:
		return v.current(e.Attempt)
	case TranscodePlanned:
		if v.Run.Source == nil || (v.Run.Plan != nil && !v.Run.Plan.Open) {
			return fmt.Errorf("attempt %d is not inspected, or has its plan", v.Attempt)
		}
		return v.current(e.Attempt)
	case ChunkTranscoded:
		return v.NeedsChunk(e.Attempt, e.Chunk)
	case SourceRemuxed:
		if e.Part != v.Run.Remux.Parts {
			return fmt.Errorf("part %d of the remuxed source, the next is %d", e.Part, v.Run.Remux.Parts)
		}
		return v.NeedsRemux(e.Attempt)
	case AudioTranscoded:
		if err := v.NeedsAudio(e.Attempt, e.Track); err != nil {
			return err
		}
		if next := v.Run.Audio[e.Track].Parts; e.Part != next {
			return fmt.Errorf("part %d of %s, the next is %d", e.Part, AudioName(e.Track), next)
		}
		return nil
	case AudioLeftOut:
		return v.NeedsAudio(e.Attempt, e.Track)
	case PosterProduced:
		return v.newest(e.Attempt)
	case StoryboardProduced:
		return v.NeedsPreviews(e.Attempt)
	case PreviewProduced:
		return v.newest(e.Attempt)
	case RenditionProduced:
		if !v.Complete() || v.Run.Failure != nil {
			return fmt.Errorf("attempt %d lacks chunks or sound, or has failed", v.Attempt)
		}
		return v.newest(e.Attempt)
	case TranscodeFailed:
		return v.current(e.Attempt)
	case VideoPublished:
		if v.Published || v.Serving == 0 {
			return errors.New("the video is published already, or not ready")
		}
		return nil
	case VideoUnpublished:
		if !v.Published {
			return errors.New("the video is not published")
		}
		return nil
	case CaptionAdded:
		if e.Attempt == 0 {
			return nil
		}
		return v.newest(e.Attempt)
	}
	return nil
}

// next refuses an attempt that does not follow the newest one.
func (v Video) next(attempt int) error {
	if attempt != v.Attempt+1 {
		return fmt.Errorf("attempt %d, the next is %d", attempt, v.Attempt+1)
	}
	return nil
}

// newest refuses reports about another attempt than the newest.
func (v Video) newest(attempt int) error {
	if attempt != v.Attempt {
		return fmt.Errorf("attempt %d, the newest is %d", attempt, v.Attempt)
	}
	return nil
}
