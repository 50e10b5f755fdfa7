package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// VideoErased says that texts of a deleted video were taken out of the log: of each event that it names there is left
// what it says, and nothing else of it may differ from what was recorded. Who did it, and when, say the metadata and the
// time of this event.
type VideoErased struct {
	Events []ErasedEvent `json:"events"`
}

// ErasedEvent is an event whose texts are gone.
type ErasedEvent struct {
	Version int    `json:"version"` // in the stream
	SHA256  string `json:"sha256"`  // hex, of the data that are left
}

// Erase decides on taking the texts out of a video's events; no event when all of that is recorded already.
// ErrNotFound, ErrNotAllowed when the video is not deleted.
func Erase(events []Recorded) ([]Event, error) {
	switch v := LoadVideo(events); {
	case v.Version == 0:
		return nil, ErrNotFound
	case !v.Deleted:
		return nil, fmt.Errorf("%w: the video is not deleted; what is said about it can be erased afterwards", ErrNotAllowed)
	}
	recorded := Erased(events).Events
	var e VideoErased
	for _, r := range events {
		left, texts, err := dataWithoutTexts(r.Event)
		if err != nil {
			return nil, err
		}
		one := ErasedEvent{Version: r.Version, SHA256: leftSum(left)}
		if texts && !slices.Contains(recorded, one) {
			e.Events = append(e.Events, one)
		}
	}
	if len(e.Events) == 0 {
		return nil, nil
	}
	return []Event{e}, nil
}

// Erased sums up what is recorded of a stream's erasures; of an event that was named twice, what was said last.
func Erased(events []Recorded) VideoErased {
	var all VideoErased
	for _, r := range events {
		e, ok := r.Event.(VideoErased)
		if !ok {
			continue
		}
		for _, one := range e.Events {
			same := func(o ErasedEvent) bool { return o.Version == one.Version }
			if i := slices.IndexFunc(all.Events, same); i >= 0 {
				all.Events[i] = one
			} else {
				all.Events = append(all.Events, one)
			}
		}
	}
	return all
}

func leftSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// dataWithoutTexts returns the data of what stays of an event, and whether that is less than it has.
func dataWithoutTexts(e Event) (left []byte, texts bool, err error) {
	without, may := withoutTexts(e)
	if _, left, err = EncodeEvent(without); err != nil || !may {
		return left, false, err
	}
	_, data, err := EncodeEvent(e)
	return left, !bytes.Equal(data, left), err
}

// withoutTexts returns what stays of an event when what people have said and named is taken out; may is false for
// events that never hold any of that. Numbers, times, ids, languages and checksums stay, so that all that is counted and
// decided comes out as before. What an event that was once recorded leaves must stay the same for ever: its digest is in
// the log.
func withoutTexts(e Event) (left Event, may bool) {
	switch e := e.(type) {
	case VideoCreated:
		e.Owner, e.Details = "", e.Details.withoutTexts()
		return e, true
	case VideoDetailsChanged:
		e.Details = e.Details.withoutTexts()
		return e, true
	case VideoUploaded:
		e.Filename = ""
		return e, true
	case TranscodeRequested:
		if e.NoRemux != "" { // that there was a reason counts
			e.NoRemux = "erased"
		}
		return e, true
	case SourceInspected:
		e.Source = e.Source.withoutTexts()
		return e, true
	case SourceRejected:
		e.Failure.Detail = ""
		return e, true
	case TranscodePlanned:
		e.Plan = e.Plan.withoutTexts()
		return e, true
	case AudioLeftOut:
		e.Failure.Detail = ""
		return e, true
	case TranscodeFailed:
		e.Failure.Detail = ""
		return e, true
	case CaptionAdded:
		e.Label = ""
		return e, true
	case PlaybackPolicyChanged, ChunkTranscoded, SourceRemuxed, AudioTranscoded, PosterProduced, StoryboardProduced,
		PreviewProduced, RenditionProduced, VideoPublished, VideoUnpublished, CaptionRemoved, VideoDeleted, VideoErased:
	}
	return e, false
}

func (d Details) withoutTexts() Details { return Details{Visibility: d.Visibility} }

func (s SourceInfo) withoutTexts() SourceInfo {
	s.Audio, s.MoreAudio = untitled(s.Audio, s.MoreAudio, func(a *AudioInfo) { a.Title = "" })
	s.Captions, s.Chapters = slices.Clone(s.Captions), slices.Clone(s.Chapters)
	for i := range s.Captions {
		s.Captions[i].Title = ""
	}
	for i := range s.Chapters {
		s.Chapters[i].Title = ""
	}
	return s
}

func (p Plan) withoutTexts() Plan {
	p.Audio, p.MoreAudio = untitled(p.Audio, p.MoreAudio, func(a *AudioPlan) { a.Title = "" })
	return p
}

// untitled returns copies of tracks that are changed.
func untitled[T any](first *T, more []T, change func(*T)) (*T, []T) {
	if first != nil {
		one := *first
		change(&one)
		first = &one
	}
	more = slices.Clone(more)
	for i := range more {
		change(&more[i])
	}
	return first, more
}
