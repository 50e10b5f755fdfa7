package domain

import (
	"encoding/json"
	"fmt"
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
	Data            json.RawMessage `json:"data"`
}

// cloudEventSource names this product's log; the pair of source and id names an event.
const cloudEventSource = "/cinelog/events"

// MarshalCloudEvent writes an event as it goes out on the bus.
func MarshalCloudEvent(r Recorded) ([]byte, error) {
	eventType, data, err := EncodeEvent(r.Event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: strconv.FormatInt(int64(r.Position), 10), Source: cloudEventSource, Type: eventType,
		Subject: r.Stream, Time: r.Time.UTC(), DataContentType: "application/json", Position: r.Position,
		Version: r.Version, Actor: r.Meta.Actor, Correlation: r.Meta.Correlation, Causation: r.Meta.Causation, Data: data,
	})
}

// UnmarshalCloudEvent reads what MarshalCloudEvent wrote.
func UnmarshalCloudEvent(b []byte) (Recorded, error) {
	var c cloudEvent
	if err := json.Unmarshal(b, &c); err != nil {
		return Recorded{}, fmt.Errorf("read a CloudEvent: %w", err)
	}
	if c.SpecVersion != "1.0" || c.Position < 1 || c.Version < 1 || c.Subject == "" {
		return Recorded{}, fmt.Errorf("read a CloudEvent: %w: specversion %q, position %d, version %d, subject %q",
			ErrInvalid, c.SpecVersion, c.Position, c.Version, c.Subject)
	}
	e, err := DecodeEvent(c.Type, c.Data)
	if err != nil {
		return Recorded{}, err
	}
	return Recorded{
		Position: c.Position, Stream: c.Subject, Version: c.Version, Time: c.Time, Event: e,
		Meta: Meta{Actor: c.Actor, Correlation: c.Correlation, Causation: c.Causation},
	}, nil
}
