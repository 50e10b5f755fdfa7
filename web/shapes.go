package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// VideoAnswer is a video as the API answers it. Fields may be added, none renamed or removed.
type VideoAnswer struct {
	ID             string            `json:"id"`
	Title          string            `json:"title"`
	Description    string            `json:"description"`
	Tags           []string          `json:"tags" nullable:"false"`
	Metadata       map[string]string `json:"metadata"`
	Visibility     string            `json:"visibility" enum:"public,unlisted,private"`
	Publish        string            `json:"publish" enum:"auto,manual"`
	PlaybackPolicy string            `json:"playback_policy" enum:"public,signed"`
	Status         string            `json:"status" enum:"waiting,processing,ready,failed"`
	Playable       bool              `json:"playable" doc:"Something can be played, though maybe not all of it yet"`
	Progress       float64           `json:"progress" minimum:"0" maximum:"1" doc:"Share of the encode that is done"`
	Published      bool              `json:"published"`
	CreatedAt      time.Time         `json:"created_at"`
	PublishedAt    *time.Time        `json:"published_at,omitempty"`
	Duration       float64           `json:"duration,omitempty" doc:"Seconds"`
	AspectRatio    string            `json:"aspect_ratio,omitempty" example:"16:9"`
	Source         *sourceAnswer     `json:"source,omitempty"`
	Renditions     []renditionAnswer `json:"renditions" nullable:"false" doc:"Highest first"`
	Audio          []audioAnswer     `json:"audio" nullable:"false" doc:"Tracks of sound, that first which players begin with"`
	Playback       *playbackAnswer   `json:"playback,omitempty" doc:"There as soon as the video is playable"`
	Chapters       []chapterAnswer   `json:"chapters,omitempty" doc:"Found in the source"`
	Error          *failureAnswer    `json:"error"`
	Version        int               `json:"version" doc:"Counts the video's events; also its ETag"`
}

type sourceAnswer struct {
	Filename   string  `json:"filename,omitempty"`
	Bytes      int64   `json:"bytes"`
	SHA256     string  `json:"sha256"`
	Container  string  `json:"container,omitempty"`
	VideoCodec string  `json:"video_codec,omitempty"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"`
}

type renditionAnswer struct {
	Name             string  `json:"name" example:"720p"`
	Width            int     `json:"width"`
	Height           int     `json:"height"`
	FrameRate        float64 `json:"frame_rate"`
	Codecs           string  `json:"codecs,omitempty"`
	AverageBandwidth int64   `json:"average_bandwidth,omitempty" doc:"Bits per second"`
	Bandwidth        int64   `json:"bandwidth,omitempty" doc:"Bits per second of the largest segment"`
	Bytes            int64   `json:"bytes,omitempty"`
	Status           string  `json:"status" enum:"waiting,encoding,encoded,failed"`
}

type audioAnswer struct {
	Name     string `json:"name" example:"audio-2"`
	Language string `json:"language" doc:"BCP 47; und when it is not known"`
	Label    string `json:"label,omitempty" doc:"Its title in the source"`
	Kind     string `json:"kind,omitempty" enum:"commentary,description" doc:"What it is for, where it is not the sound itself; a description tells what is seen"`
	Channels int    `json:"channels"`
	Default  bool   `json:"default" doc:"Players begin with it"`
	Status   string `json:"status" enum:"waiting,encoding,encoded,failed" doc:"One that failed is not offered"`
}

type playbackAnswer struct {
	HLS    string `json:"hls"`
	DASH   string `json:"dash,omitempty" doc:"There when the video is complete"`
	Poster string `json:"poster,omitempty"`

	Storyboard      string `json:"storyboard,omitempty" doc:"WebVTT that names a tile of an image for each moment, for seek bars"`
	StoryboardImage string `json:"storyboard_image,omitempty" doc:"The image with the tiles"`
	Preview         string `json:"preview,omitempty" doc:"A short moving image (WebP)"`

	Captions []captionAnswer `json:"captions,omitempty" doc:"Found in the source"`
	Chapters string          `json:"chapters,omitempty" doc:"WebVTT"`
}

type captionAnswer struct {
	Language string `json:"language" doc:"BCP 47; und when it is not known"`
	Label    string `json:"label,omitempty"`
	URL      string `json:"url"`
}

type chapterAnswer struct {
	Title string  `json:"title"`
	Start float64 `json:"start" doc:"Seconds"`
	End   float64 `json:"end" doc:"Seconds"`
}

type failureAnswer struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Schema says that an error may be null, which huma cannot say of a struct.
func (failureAnswer) Schema(huma.Registry) *huma.Schema {
	word := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{OneOf: []*huma.Schema{
		{
			Type: huma.TypeObject, Required: []string{"code", "detail"}, AdditionalProperties: false,
			Properties: map[string]*huma.Schema{"code": word, "detail": word},
		},
		{Type: "null"},
	}}
}

func answerVideo(v projections.Video) VideoAnswer {
	a := VideoAnswer{
		ID: string(v.ID), Title: v.Details.Title, Description: v.Details.Description, Tags: v.Details.Tags,
		Metadata: v.Details.Metadata, Visibility: string(v.Details.Visibility), Publish: string(v.Publish),
		PlaybackPolicy: string(v.PlaybackPolicy), Status: string(v.Status), Playable: v.Playable, Progress: progress(v),
		Published: v.Published, CreatedAt: v.CreatedAt.UTC(), Duration: v.Duration,
		Renditions: make([]renditionAnswer, len(v.Renditions)), Error: answerFailure(v.Failure), Version: v.Version,
	}
	if a.Tags == nil {
		a.Tags = []string{}
	}
	if a.Metadata == nil {
		a.Metadata = map[string]string{}
	}
	if !v.PublishedAt.IsZero() {
		at := v.PublishedAt.UTC()
		a.PublishedAt = &at
	}
	if v.Source != nil {
		a.Source = &sourceAnswer{Filename: v.Filename, Bytes: v.Source.Bytes, SHA256: v.Source.SHA256}
		if i := v.Info; i != nil {
			a.Source.Container, a.Source.VideoCodec = i.Container, i.VideoCodec
			a.Source.Width, a.Source.Height, a.Source.FrameRate = i.Width, i.Height, i.FrameRate.Float()
			a.AspectRatio = aspectRatio(i.Width, i.Height)
			for _, c := range i.Chapters {
				a.Chapters = append(a.Chapters, chapterAnswer(c))
			}
		}
	}
	for i, r := range v.Renditions {
		a.Renditions[i] = renditionAnswer{
			Name: r.Name, Width: r.Width, Height: r.Height, FrameRate: r.FrameRate.Float(), Codecs: r.Codecs,
			AverageBandwidth: r.AverageBandwidth, Bandwidth: r.Bandwidth, Bytes: r.Bytes, Status: string(r.Status),
		}
	}
	offered := false
	a.Audio = make([]audioAnswer, len(v.Audio))
	for i, t := range v.Audio {
		first := !offered && t.Status != projections.RenditionFailed
		offered = offered || first
		a.Audio[i] = audioAnswer{
			Name: t.Name, Language: cmp.Or(t.Language, "und"), Label: t.Title, Kind: string(t.Kind), Channels: t.Channels,
			Default: first, Status: string(t.Status),
		}
	}
	if v.Playable {
		a.Playback = &playbackAnswer{HLS: "/play/" + a.ID + "/master.m3u8"}
		if v.Serving > 0 {
			a.Playback.DASH = "/play/" + a.ID + "/manifest.mpd"
		}
		if v.Poster {
			a.Playback.Poster = "/play/" + a.ID + "/poster.jpg"
		}
		if v.Serving > 0 && v.Storyboard == v.Serving {
			a.Playback.Storyboard, a.Playback.StoryboardImage = "/play/"+a.ID+"/storyboard.vtt", "/play/"+a.ID+"/storyboard.jpg"
		}
		for _, c := range v.Captions {
			if c.Attempt == 0 || c.Attempt == v.Serving || v.Serving == 0 && c.Attempt == v.Attempt {
				a.Playback.Captions = append(a.Playback.Captions, captionAnswer{c.Language, c.Label, "/play/" + a.ID + "/captions/" + c.Name + ".vtt"})
			}
		}
		if len(a.Chapters) > 0 {
			a.Playback.Chapters = "/play/" + a.ID + "/chapters.vtt"
		}
		if v.Serving > 0 && v.Preview == v.Serving {
			a.Playback.Preview = "/play/" + a.ID + "/preview.webp"
		}
	}
	return a
}

func answerFailure(f *domain.Failure) *failureAnswer {
	if f == nil {
		return nil
	}
	return &failureAnswer{Code: string(f.Code), Detail: f.Detail}
}

func aspectRatio(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	a, b := w, h
	for b != 0 {
		a, b = b, a%b
	}
	return fmt.Sprintf("%d:%d", w/a, h/a)
}

// statusAnswer is how far a video is.
type statusAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"waiting,processing,ready,failed"`
	Ingest struct {
		Status        string `json:"status" enum:"waiting,received"`
		ReceivedBytes int64  `json:"received_bytes"`
	} `json:"ingest"`
	Encoding struct {
		Playable  bool            `json:"playable"`
		Progress  float64         `json:"progress" minimum:"0" maximum:"1"`
		Encoded   float64         `json:"encoded_seconds" doc:"Seconds of the video that are encoded in all qualities"`
		Seconds   float64         `json:"seconds,omitempty" doc:"Seconds that there are to encode"`
		Left      *int            `json:"eta_seconds,omitempty" doc:"Seconds until all is encoded, as far as can be told"`
		Qualities []qualityAnswer `json:"qualities" nullable:"false" doc:"Of the newest encode, also while an older one is served"`
	} `json:"encoding"`
	Error *failureAnswer `json:"error"`
}

type qualityAnswer struct {
	Name   string `json:"name"`
	Status string `json:"status" enum:"waiting,encoding,encoded,failed"`
}

func answerStatus(v projections.Video, now time.Time) statusAnswer {
	a := statusAnswer{ID: string(v.ID), Status: string(v.Status), Error: answerFailure(v.Failure)}
	a.Ingest.Status = "waiting"
	if v.Source != nil {
		a.Ingest.Status, a.Ingest.ReceivedBytes = "received", v.Source.Bytes
	}
	a.Encoding.Playable, a.Encoding.Progress = v.Playable, progress(v)
	if v.Info != nil {
		a.Encoding.Encoded, a.Encoding.Seconds = v.Info.FrameRate.Seconds(v.FramesDone), v.Info.FrameRate.Seconds(v.FramesPlanned)
	}
	if left, known := v.Left(now); known {
		seconds := int(math.Ceil(left.Seconds()))
		a.Encoding.Left = &seconds
	}
	newest := v.Newest()
	a.Encoding.Qualities = make([]qualityAnswer, len(newest))
	for i, r := range newest {
		a.Encoding.Qualities[i] = qualityAnswer{Name: r.Name, Status: string(r.Status)}
	}
	return a
}

// progress is the share of frames done; 1 is kept for the moment when nothing is left to do.
func progress(v projections.Video) float64 {
	if v.Attempt > 0 && v.Serving == v.Attempt {
		return 1
	}
	if v.FramesPlanned == 0 {
		return 0
	}
	const almost = 0.99
	return min(almost, float64(v.FramesDone)/float64(v.FramesPlanned))
}

// eventAnswer is an event of a video's history.
type eventAnswer struct {
	Position int64           `json:"position"`
	Version  int             `json:"version"`
	Type     string          `json:"type" example:"video.uploaded.v1"`
	Time     time.Time       `json:"time"`
	Actor    string          `json:"actor"`
	Data     json.RawMessage `json:"data"`
}

func answerEvent(r domain.Recorded) (eventAnswer, error) {
	eventType, data, err := domain.EncodeEvent(r.Event)
	if err != nil {
		return eventAnswer{}, err
	}
	return eventAnswer{
		Position: int64(r.Position), Version: r.Version, Type: eventType, Time: r.Time.UTC(),
		Actor: cmp.Or(r.Meta.Actor, "local"), Data: data,
	}, nil
}
