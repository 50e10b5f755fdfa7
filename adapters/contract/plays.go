package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Plays checks what keeps views: however often and in whatever order it is told of them, and by how many, it comes to
// know the same. open returns an empty store, and another one on what it keeps, as of another process.
func Plays(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	t.Run("duplicates and reordering change nothing", func(t *testing.T) { t.Parallel(); playsInAnyOrder(t, open) })
	t.Run("several write the same views", func(t *testing.T) { t.Parallel(); playsByMany(t, open) })
	t.Run("views are found by time and video", func(t *testing.T) { t.Parallel(); playsAreFound(t, open) })
	t.Run("a salt is for its day", func(t *testing.T) { t.Parallel(); salts(t, open) })
	t.Run("old views are forgotten", func(t *testing.T) { t.Parallel(); playsArePruned(t, open) })
}

// drawPlays draws what players tell of some views; run tells them from those of other draws.
func drawPlays(r *rapid.T, run int) []projections.Play {
	start := playsStart().AddDate(0, 0, 10*run)
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) projections.Play {
		seconds := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 4000).Draw(r, name)) * time.Second
		}
		p := projections.Play{
			Video:   domain.VideoID(rapid.SampledFrom([]string{"a", "b"}).Draw(r, "video")),
			View:    fmt.Sprint(run, "-", rapid.IntRange(0, 4).Draw(r, "view")),
			First:   start.Add(seconds("first")),
			Viewer:  int64(rapid.IntRange(-2, 2).Draw(r, "viewer")),
			Country: rapid.SampledFrom([]string{"", "DE", "FR"}).Draw(r, "country"),
			Started: rapid.Bool().Draw(r, "started"),
			Ended:   rapid.Bool().Draw(r, "ended"),
			Error:   rapid.SampledFrom([]projections.PlayError{"", "", "network", "decode"}).Draw(r, "error"),
			Parts:   rapid.Uint64Range(0, 1<<projections.PlayParts-1).Draw(r, "parts"),
		}
		p.Last = p.First
		if rapid.Bool().Draw(r, "told a startup") {
			p.Startup = &projections.Startup{Took: seconds("startup"), Rendition: rapid.SampledFrom([]string{"", "240p"}).Draw(r, "in")}
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"", "240p", "720p"}), 0, 3, rapid.ID).Draw(r, "renditions") {
			if p.Qualities == nil {
				p.Qualities = map[string]projections.PlayTimes{}
			}
			p.Qualities[name] = projections.PlayTimes{Watched: seconds("watched"), Stalled: seconds("stalled"), Stalls: rapid.IntRange(0, 9).Draw(r, "stalls")}
		}
		return p
	}), 1, 20).Draw(r, "told")
}

// playsStart is not long before midnight.
func playsStart() time.Time { return time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC) }

func playsInAnyOrder(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	var plays projections.Plays
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		if run%20 == 0 {
			plays, _ = open(t)
		}
		run++
		told := drawPlays(r, run)
		deliveries := rapid.Permutation(append(slices.Clone(told), rapid.SliceOfN(rapid.SampledFrom(told), 0, 20).Draw(r, "again")...)).Draw(r, "order")
		for len(deliveries) > 0 {
			n := rapid.IntRange((len(deliveries)+1)/2, len(deliveries)).Draw(r, "batch") // few: each costs a wait for a server
			if err := plays.Record(t.Context(), deliveries[:n]); err != nil {
				r.Fatal(err)
			}
			deliveries = deliveries[n:]
		}
		from := playsStart().AddDate(0, 0, 10*run)
		if diff := cmp.Diff(joined(told), allPlays(t, plays, from, from.AddDate(0, 0, 1)), cmpopts.EquateEmpty()); diff != "" {
			r.Errorf("views (-want +got):\n%s", diff)
		}
	})
}

// joined is the definition: all that was told of a view, once and in order.
func joined(told []projections.Play) []projections.Play {
	var views []projections.Play
	for _, p := range told {
		same := func(o projections.Play) bool { return o.Video == p.Video && o.View == p.View }
		if i := slices.IndexFunc(views, same); i >= 0 {
			views[i] = views[i].Join(p)
		} else {
			views = append(views, p)
		}
	}
	sortPlays(views)
	return views
}

func sortPlays(views []projections.Play) {
	slices.SortFunc(views, func(a, b projections.Play) int {
		return strings.Compare(string(a.Video)+"/"+a.View, string(b.Video)+"/"+b.View)
	})
}

func allPlays(t *testing.T, plays projections.Plays, from, to time.Time) (all []projections.Play) {
	t.Helper()
	err := plays.Each(t.Context(), from, to, "", func(p projections.Play) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sortPlays(all)
	return all
}

// playsByMany has two processes join into the same views at the same time: what each of them told is there.
func playsByMany(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	one, another := open(t)
	const views, beacons = 5, 8
	var g sync.WaitGroup
	errs := make(chan error, 2)
	for _, store := range []projections.Plays{one, another()} {
		g.Go(func() {
			for _, part := range rand.Perm(beacons) {
				told := make([]projections.Play, views)
				for v := range told {
					told[v] = projections.Play{Video: "v", View: strconv.Itoa(v), First: playsStart(), Last: playsStart(), Parts: 1 << part}
				}
				if err := store.Record(t.Context(), told[:1+rand.IntN(views-1)]); err != nil {
					errs <- err
					return
				}
				if err := store.Record(t.Context(), told); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	g.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	all := allPlays(t, one, playsStart(), playsStart().Add(time.Second))
	if len(all) != views {
		t.Fatalf("%d views, want %d", len(all), views)
	}
	for _, p := range all {
		if p.Parts != 1<<beacons-1 {
			t.Errorf("view %s has the parts %b: some that were recorded are not there", p.View, p.Parts)
		}
	}
}

func playsAreFound(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	plays, _ := open(t)
	hour := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	at := map[string]time.Time{"before": hour.Add(-time.Microsecond), "first": hour, "last": hour.Add(time.Hour - time.Microsecond), "after": hour.Add(time.Hour)}
	for view, first := range at {
		for _, video := range []domain.VideoID{"a", "b"} {
			if err := plays.Record(t.Context(), []projections.Play{{Video: video, View: view, First: first, Last: first, Started: true}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for video, want := range map[domain.VideoID]string{"": "a/first a/last b/first b/last", "a": "a/first a/last", "c": ""} {
		var found []string
		err := plays.Each(t.Context(), hour, hour.Add(time.Hour), video, func(p projections.Play) error {
			found = append(found, string(p.Video)+"/"+p.View)
			return nil
		})
		slices.Sort(found)
		if got := strings.Join(found, " "); err != nil || got != want {
			t.Errorf("views of video %q in the hour: %q, %v; want %q", video, got, err, want)
		}
	}
	stop := errors.New("enough")
	if err := plays.Each(t.Context(), hour, hour.Add(time.Hour), "", func(projections.Play) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of who reads: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := plays.Each(ended, hour, hour.Add(time.Hour), "", func(projections.Play) error { return nil }); err == nil {
		t.Error("a context that has ended is no error")
	}
}

func salts(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	one, another := open(t)
	two := another()
	salt := func(s projections.Plays, day time.Time) []byte {
		got, err := s.Salt(t.Context(), day)
		if err != nil || len(got) != projections.SaltBytes {
			t.Fatalf("salt %x, %v", got, err)
		}
		return got
	}
	evening, morning := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	first := salt(one, evening)
	if !bytes.Equal(first, salt(two, evening.Add(-20*time.Hour))) {
		t.Error("two processes have two salts for a day")
	}
	next := salt(two, morning)
	if bytes.Equal(first, next) || !bytes.Equal(next, salt(one, morning)) {
		t.Error("a new day has the old salt, or two")
	}
	if bytes.Equal(first, salt(one, evening)) {
		t.Error("the salt of a day that is over can still be had")
	}
}

func playsArePruned(t *testing.T, open func(t *testing.T) (projections.Plays, func() projections.Plays)) {
	plays, _ := open(t)
	for n := range 2500 {
		first := playsStart().Add(time.Duration(n) * time.Second)
		if n%500 != 0 && n < 2495 { // few need to be told apart
			continue
		}
		if err := plays.Record(t.Context(), []projections.Play{{Video: "v", View: strconv.Itoa(n), First: first, Last: first}}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (views []string) {
		for _, p := range allPlays(t, plays, playsStart(), playsStart().Add(time.Hour)) {
			views = append(views, p.View)
		}
		return views
	}
	prune := func(before time.Time, atMost, want int) {
		t.Helper()
		if n, err := plays.Prune(t.Context(), before, atMost); err != nil || n != want {
			t.Errorf("%d views are forgotten, %v; want %d", n, err, want)
		}
	}
	prune(playsStart().Add(1000*time.Second), 100, 2)
	if got, want := left(), []string{"1000", "1500", "2000", "2495", "2496", "2497", "2498", "2499"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
	prune(playsStart(), 3, 5)
	if got, want := left(), []string{"2497", "2498", "2499"}; !slices.Equal(got, want) {
		t.Errorf("of too many are left %q, want %q", got, want)
	}
	prune(playsStart(), 3, 0)
}
