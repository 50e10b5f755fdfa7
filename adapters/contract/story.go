package contract

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Story is a log for tests of the read side: the events that Add appended, an hour between two.
type Story struct {
	Events   []domain.Recorded
	versions map[string]int
}

// Add appends events of one video and returns the position of the last.
func (s *Story) Add(id string, events ...domain.Event) domain.Position {
	if s.versions == nil {
		s.versions = map[string]int{}
	}
	for _, e := range events {
		s.versions[id]++
		n := len(s.Events)
		s.Events = append(s.Events, domain.Recorded{
			Position: domain.Position(n + 1), Stream: id, Version: s.versions[id], Event: e,
			Time: time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC),
		})
	}
	return domain.Position(len(s.Events))
}

// Create appends a VideoCreated with a title.
func (s *Story) Create(id, title string, change ...func(*domain.Details)) domain.Position {
	d := domain.Details{Title: title, Visibility: domain.Public}
	for _, c := range change {
		c(&d)
	}
	return s.Add(id, domain.VideoCreated{
		Owner: "local", Details: d, Publish: domain.PublishAuto, PlaybackPolicy: domain.PlaybackPublic,
	})
}

// ReadAfter implements projections.Log.
func (s *Story) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	from := min(int(after), len(s.Events))
	return s.Events[from:min(from+limit, len(s.Events))], ctx.Err()
}

// Head implements projections.Log.
func (s *Story) Head(ctx context.Context) (domain.Position, error) {
	return domain.Position(len(s.Events)), ctx.Err()
}
