package projections_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cinelog/cinelog/projections"
)

func TestCompareUntilEqual(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		equalAt, failAt int // which call; never when 0
		calls           int
		want            error
	}{
		"equal at once":  {equalAt: 1, calls: 1},
		"equal later":    {equalAt: 3, calls: 3},
		"never equal":    {calls: 5},
		"that it failed": {failAt: 2, calls: 2, want: failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				done, err := projections.CompareUntilEqual(t.Context(), func() (projections.Rebuilt, error) {
					calls++
					r := projections.Rebuilt{Hash: "a", LiveHash: "b"}
					if calls == c.equalAt {
						r.LiveHash = "a"
					}
					if calls == c.failAt {
						return r, failed
					}
					return r, nil
				})
				if calls != c.calls || !errors.Is(err, c.want) || done.Equal() != (c.equalAt > 0) {
					t.Errorf("%+v, %v after %d comparisons", done, err, calls)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := projections.CompareUntilEqual(ctx, func() (projections.Rebuilt, error) {
		return projections.Rebuilt{Hash: "a"}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it went on: %v", err)
	}
}

func TestOnlyTheFirstDifferencesAreKept(t *testing.T) {
	t.Parallel()
	var r projections.Rebuilt
	var keys []string
	for i := range 50 {
		keys = append(keys, strconv.Itoa(i))
	}
	r.Differ(keys[:3]...)
	r.Differ(keys[3])
	r.Differ(keys[4:]...)
	r.Differ(keys...)
	if !slices.Equal(r.Different, keys[:20]) {
		t.Errorf("kept %v", r.Different)
	}
}

func TestDayNumbers(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const march1 = 20513
	for moment, want := range map[time.Time]int64{
		midnight: march1, midnight.Add(-time.Nanosecond): march1 - 1, midnight.Add(24*time.Hour - 1): march1,
		midnight.In(time.FixedZone("west", -3600)): march1, time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC): -1,
	} {
		if n := projections.DayNumber(moment); n != want {
			t.Errorf("%s is on day %d, want %d", moment, n, want)
		}
	}
	if got := projections.NumberedDay(march1); !got.Equal(midnight) {
		t.Errorf("day %d begins at %s", march1, got)
	}
	day, hour := projections.Daily.Span(midnight.Add(-1)), projections.Hourly.Span(midnight.In(time.FixedZone("west", -1800)).Add(-1))
	if !day.Equal(midnight.AddDate(0, 0, -1)) || !hour.Equal(midnight.Add(-time.Hour)) || hour.Location() != time.UTC {
		t.Errorf("just before midnight are the day %s and the hour %s", day, hour)
	}
}
