package domain

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrUnknownEvent says that the log holds an event that this program is too old to read.
var ErrUnknownEvent = errors.New("unknown event type")

// EventType returns an event's name on the wire and in the log. Names are forever: a changed meaning is a new version
// with a new name, and Decode goes on reading the old one.
func EventType(e Event) string {
	switch e := e.(type) {
	case VideoCreated:
		return "video.created.v1"
	case VideoDetailsChanged:
		return "video.details_changed.v1"
	case PlaybackPolicyChanged:
		return "video.playback_policy_changed.v1"
	case VideoUploaded:
		return "video.uploaded.v1"
	case TranscodeRequested:
		return "video.transcode_requested.v1"
	case SourceInspected:
		return "video.source_inspected.v1"
	case SourceRejected:
		return "video.source_rejected.v1"
	case TranscodePlanned:
		return "video.transcode_planned.v1"
	case ChunkTranscoded:
		return "video.chunk_transcoded.v1"
	case SourceRemuxed:
		return "video.source_remuxed.v1"
	case AudioTranscoded:
		if e.Track > 0 { // who reads v1 knows of one track only, and would take this for it
			return "video.audio_transcoded.v2"
		}
		return "video.audio_transcoded.v1"
	case AudioLeftOut:
		return "video.audio_left_out.v1"
	case PosterProduced:
		return "video.poster_produced.v1"
	case StoryboardProduced:
		return "video.storyboard_produced.v1"
	case PreviewProduced:
		return "video.preview_produced.v1"
	case RenditionProduced:
		return "video.rendition_produced.v1"
	case TranscodeFailed:
		return "video.transcode_failed.v1"
	case VideoPublished:
		return "video.published.v1"
	case VideoUnpublished:
		return "video.unpublished.v1"
	case CaptionAdded:
		return "video.caption_added.v1"
	case CaptionRemoved:
		return "video.caption_removed.v1"
	case VideoDeleted:
		return "video.deleted.v1"
	case VideoErased:
		return "video.erased.v1"
	}
	return ""
}

// EncodeEvent returns an event's name and its JSON.
func EncodeEvent(e Event) (eventType string, data []byte, err error) {
	eventType = EventType(e)
	if eventType == "" {
		return "", nil, fmt.Errorf("%w: %T", ErrUnknownEvent, e)
	}
	data, err = json.Marshal(e)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", eventType, err)
	}
	return eventType, data, nil
}

// DecodeEvent reads an event of any version that was ever written. Fields that it does not know are ignored, so that
// an older program can run beside a newer one. What it returns may share the memory of a text that it is given.
func DecodeEvent[JSON ~string | ~[]byte](eventType string, data JSON) (Event, error) {
	switch eventType {
	case "video.created.v1":
		return decode[VideoCreated](eventType, []byte(data))
	case "video.details_changed.v1":
		return decode[VideoDetailsChanged](eventType, []byte(data))
	case "video.playback_policy_changed.v1":
		return decode[PlaybackPolicyChanged](eventType, []byte(data))
	case "video.uploaded.v1":
		return decode[VideoUploaded](eventType, []byte(data))
	case "video.transcode_requested.v1":
		return decode[TranscodeRequested](eventType, []byte(data))
	case "video.source_inspected.v1":
		return decode[SourceInspected](eventType, []byte(data))
	case "video.source_rejected.v1":
		return decode[SourceRejected](eventType, []byte(data))
	case "video.transcode_planned.v1":
		return decode[TranscodePlanned](eventType, []byte(data))
	case "video.chunk_transcoded.v1":
		return decodeExact(eventType, string(data), decodeChunk)
	case "video.source_remuxed.v1":
		return decodeExact(eventType, string(data), decodeRemuxed)
	case "video.audio_transcoded.v1", "video.audio_transcoded.v2":
		return decodeExact(eventType, string(data), decodeAudio)
	case "video.audio_left_out.v1":
		return decode[AudioLeftOut](eventType, []byte(data))
	case "video.poster_produced.v1":
		return decode[PosterProduced](eventType, []byte(data))
	case "video.storyboard_produced.v1":
		return decode[StoryboardProduced](eventType, []byte(data))
	case "video.preview_produced.v1":
		return decode[PreviewProduced](eventType, []byte(data))
	case "video.rendition_produced.v1":
		return decodeExact(eventType, string(data), decodeRendition)
	case "video.transcode_failed.v1":
		return decode[TranscodeFailed](eventType, []byte(data))
	case "video.published.v1":
		return decode[VideoPublished](eventType, []byte(data))
	case "video.unpublished.v1":
		return decode[VideoUnpublished](eventType, []byte(data))
	case "video.caption_added.v1":
		return decode[CaptionAdded](eventType, []byte(data))
	case "video.caption_removed.v1":
		return decode[CaptionRemoved](eventType, []byte(data))
	case "video.deleted.v1":
		return decode[VideoDeleted](eventType, []byte(data))
	case "video.erased.v1":
		return decode[VideoErased](eventType, []byte(data))
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownEvent, eventType)
}

func decode[E Event](eventType string, data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode %s: %w", eventType, err)
	}
	return e, nil
}

// EventTypes lists every name that DecodeEvent reads, in the order of a video's life.
func EventTypes() []string {
	return []string{
		"video.created.v1", "video.details_changed.v1", "video.playback_policy_changed.v1", "video.uploaded.v1",
		"video.transcode_requested.v1", "video.source_inspected.v1", "video.source_rejected.v1",
		"video.transcode_planned.v1", "video.chunk_transcoded.v1", "video.source_remuxed.v1",
		"video.audio_transcoded.v1", "video.audio_transcoded.v2", "video.audio_left_out.v1",
		"video.poster_produced.v1", "video.storyboard_produced.v1", "video.preview_produced.v1", "video.rendition_produced.v1",
		"video.transcode_failed.v1", "video.published.v1", "video.unpublished.v1", "video.caption_added.v1",
		"video.caption_removed.v1", "video.deleted.v1", "video.erased.v1",
	}
}

// EventSchemaID returns the name of the JSON Schema of a type's data, which docs/events has in a file of the type's name.
func EventSchemaID(eventType string) string { return "urn:cinelog:event:" + eventType }
