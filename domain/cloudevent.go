package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// cloudEvent is an event on the bus: a CloudEvents 1.0 document in JSON. position and version are extension attributes.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"` // the position: unique within the source
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"` // the video's id
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Position        Position        `json:"position"`
	Version         int             `json:"version"`
	Actor           string          `json:"actor,omitempty"`
	Correlation     string          `json:"correlation,omitempty"`
	Causation       string          `json:"causation,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
	DataRef         string          `json:"dataref,omitempty"` // instead of Data: where to read it (extension "Dataref")
}

// cloudEventSource names this product's log; the pair of source and id names an event.
const cloudEventSource = "/cinelog/events"

// MaxInlineData is how many bytes of data an event brings along on the bus. One with more only says where they are: they
// may be more than a queue takes (SNS: 256 KiB for a message), and SNS and SQS count each 64 KiB as a request.
const MaxInlineData = 48 << 10

// ErrDataLeftOut says that an event's data are where it was recorded, and not in the message.
var ErrDataLeftOut = errors.New("the event's data were too long for a message")

// MarshalCloudEvent writes an event with all its data.
func MarshalCloudEvent(r Recorded) ([]byte, error) { return marshalCloudEvent(r, math.MaxInt) }

// MarshalShortCloudEvent writes an event as it goes out on the bus: without its data where they are longer than
// MaxInlineData.
func MarshalShortCloudEvent(r Recorded) ([]byte, error) { return marshalCloudEvent(r, MaxInlineData) }

func marshalCloudEvent(r Recorded, most int) ([]byte, error) {
	eventType, data, err := EncodeEvent(r.Event)
	if err != nil {
		return nil, err
	}
	ref := ""
	if len(data) > most {
		data, ref = nil, dataRef(r.Stream)
	}
	return json.Marshal(cloudEvent{
		DataRef: ref, SpecVersion: "1.0", ID: strconv.FormatInt(int64(r.Position), 10), Source: cloudEventSource, Type: eventType,
		Subject: r.Stream, Time: r.Time.UTC(), DataContentType: "application/json", Position: r.Position,
		Version: r.Version, Actor: r.Meta.Actor, Correlation: r.Meta.Correlation, Causation: r.Meta.Causation, Data: data,
	})
}

// WithoutData leaves the data of a CloudEvent out, as if they had been too long: who reads it finds them where the event was
// recorded, as they are by then.
func WithoutData(b []byte) ([]byte, error) {
	var c cloudEvent
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("read a CloudEvent: %w", err)
	}
	c.Data, c.DataRef = nil, dataRef(c.Subject)
	return json.Marshal(c)
}

func dataRef(stream string) string { return "/v1/videos/" + stream + "/events" }

// UnmarshalCloudEvent reads what these two wrote. ErrDataLeftOut comes with all that is known but the Event.
func UnmarshalCloudEvent(b []byte) (Recorded, error) {
	var c cloudEvent
	if err := json.Unmarshal(b, &c); err != nil {
		return Recorded{}, fmt.Errorf("read a CloudEvent: %w", err)
	}
	if c.SpecVersion != "1.0" || c.Position < 1 || c.Version < 1 || c.Subject == "" {
		return Recorded{}, fmt.Errorf("read a CloudEvent: %w: specversion %q, position %d, version %d, subject %q",
			ErrInvalid, c.SpecVersion, c.Position, c.Version, c.Subject)
	}
	r := Recorded{
		Position: c.Position, Stream: c.Subject, Version: c.Version, Time: c.Time,
		Meta: Meta{Actor: c.Actor, Correlation: c.Correlation, Causation: c.Causation},
	}
	if len(c.Data) == 0 && c.DataRef != "" {
		return r, ErrDataLeftOut
	}
	var err error
	if r.Event, err = DecodeEvent(c.Type, c.Data); err != nil {
		return Recorded{}, err
	}
	return r, nil
}
