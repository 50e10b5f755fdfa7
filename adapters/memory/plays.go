package memory

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Plays keeps what players have told until the process ends.
type Plays struct {
	mu    sync.Mutex
	plays map[string]projections.Play
	salts map[int64][]byte
}

var _ projections.Plays = (*Plays)(nil)

// NewPlays returns an empty store.
func NewPlays() *Plays {
	return &Plays{plays: map[string]projections.Play{}, salts: map[int64][]byte{}}
}

// Record implements projections.Plays.
func (s *Plays) Record(ctx context.Context, told []projections.Play) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range told {
		key := string(p.Video) + "/" + p.View
		if have, ok := s.plays[key]; ok {
			p = have.Join(p)
		}
		s.plays[key] = p
	}
	return ctx.Err()
}

// Each implements projections.Plays.
func (s *Plays) Each(
	ctx context.Context, from, to time.Time, video domain.VideoID, f func(projections.Play) error,
) error {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.plays))
	s.mu.Unlock()
	for _, p := range all {
		if p.First.Before(from) || !p.First.Before(to) || (video != "" && p.Video != video) {
			continue
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Salt implements projections.Plays.
func (s *Plays) Salt(ctx context.Context, day time.Time) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	today := projections.DayNumber(day)
	maps.DeleteFunc(s.salts, func(n int64, _ []byte) bool { return n < today })
	if s.salts[today] == nil {
		s.salts[today] = make([]byte, projections.SaltBytes)
		_, _ = rand.Read(s.salts[today]) // it never fails
	}
	return slices.Clone(s.salts[today]), ctx.Err()
}

// Prune implements projections.Plays.
func (s *Plays) Prune(ctx context.Context, before time.Time, atMost int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.plays), func(a, b projections.Play) int { return b.First.Compare(a.First) })
	if len(all) > atMost && !all[atMost].First.Before(before) {
		before = all[atMost].First.Add(1)
	}
	n := len(s.plays)
	maps.DeleteFunc(s.plays, func(_ string, p projections.Play) bool { return p.First.Before(before) })
	return n - len(s.plays), ctx.Err()
}
