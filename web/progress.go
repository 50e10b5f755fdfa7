package web

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// progressType is what followers ask for, as if it were a type of events, to be told how far videos are. What they get
// then is no event: it has no position, says nothing that the events do not say, and is not sent again.
const progressType = "progress"

// maxRows is how many videos the feed keeps folded. They are those in work, so there are few.
const maxRows = 1000

// inWork folds videos as their events pass, so that what it says of one is what the log says up to just that event.
type inWork struct {
	history func(context.Context, domain.VideoID) ([]domain.Recorded, error)
	rows    map[domain.VideoID]projections.Video
}

// after returns what is to be said after each of some consecutive events; nil where that is nothing. Of several events of a
// video only the last is followed by it.
func (w *inWork) after(ctx context.Context, events []domain.Recorded) ([][]byte, error) {
	said := make([][]byte, len(events))
	last := map[domain.VideoID]int{}
	for i, r := range events {
		if v, ok := w.rows[r.VideoID()]; ok && r.Version > v.Version {
			w.rows[r.VideoID()] = v.Evolve(r)
		}
		if movesProgress(r.Event) {
			last[r.VideoID()] = i
		}
	}
	for id, i := range last {
		v, ok := w.rows[id]
		if !ok {
			events, err := w.history(ctx, id)
			if err != nil {
				return said, fmt.Errorf("see how far video %s is: %w", id, err)
			}
			v = projections.FoldVideo(events)
		}
		if len(w.rows) >= maxRows {
			clear(w.rows)
		}
		w.rows[id] = v
		if v.Deleted || v.Failure != nil || v.Attempt > 0 && v.Serving == v.Attempt {
			delete(w.rows, id)
		}
		if v.Deleted {
			continue
		}
		var err error
		if said[i], err = progressFrame(v, events[i]); err != nil {
			return said, err
		}
	}
	return said, nil
}

// movesProgress says whether an event changes what the status of an encode says.
func movesProgress(e domain.Event) bool {
	switch e.(type) { //nolint:gochecksumtype // no other does
	case domain.VideoUploaded, domain.TranscodeRequested, domain.TranscodePlanned, domain.ChunkTranscoded, domain.SourceRemuxed,
		domain.AudioTranscoded, domain.RenditionProduced, domain.SourceRejected, domain.TranscodeFailed:
		return true
	}
	return false
}

// progressFrame writes what GET .../status answers as a server-sent event without an id: whoever comes again goes on after
// the event before.
func progressFrame(v projections.Video, r domain.Recorded) ([]byte, error) {
	data, err := json.Marshal(answerStatus(v, r.Time))
	if err != nil {
		return nil, fmt.Errorf("encode the status of video %s: %w", v.ID, err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", progressType, data), nil
}
