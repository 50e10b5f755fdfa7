package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// BenchmarkCatalogLag creates 100 videos a second in an embedded server, for ten seconds, and measures how long after the
// answer to each the catalog and what can be played have it. The reference is a wait of a read model that looks each tick.
func BenchmarkCatalogLag(b *testing.B) {
	const perSecond, seconds = 100, 10
	for range b.N {
		a, err := openApp(b.Context(), config{
			places: places{Data: b.TempDir()}, roles: []string{roleAPI, roleRelay, roleProjector, roleAnalytics},
			listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.run(ctx) }()
		var mu sync.Mutex
		var lags []time.Duration
		var creating sync.WaitGroup
		lookedEach := tick
		tick := time.NewTicker(time.Second / perSecond)
		for i := range perSecond * seconds {
			<-tick.C
			creating.Go(func() {
				r, err := a.service.Create(b.Context(), commands.CreateVideo{Event: domain.VideoCreated{Owner: "local", Details: domain.Details{Title: fmt.Sprint("video ", i)}}})
				if err != nil {
					b.Error(err)
					return
				}
				acknowledged := time.Now()
				if err := a.fresh.Wait(b.Context(), r.Position); err != nil {
					b.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				lags = append(lags, time.Since(acknowledged))
			})
		}
		tick.Stop()
		creating.Wait()
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		slices.Sort(lags)
		p99 := lags[len(lags)*99/100]
		b.ReportMetric(float64(p99.Microseconds())/1000, "p99_ms")
		b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50_ms")
		b.ReportMetric(p99.Seconds()/lookedEach.Seconds(), "of_tick")
	}
}
