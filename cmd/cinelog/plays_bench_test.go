package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

// BenchmarkBeacons sends what players tell to an embedded server over HTTP, as fast as 16 connections can, from the same
// process: 10 beacons in a request, as a player that sends every so often does, and each alone. All are acknowledged, and
// counted exactly: each tells of a part of the video of its own, so that one that is missing would be seen. accepted/s is
// until the last answer, counted/s until the figures have all.
//
// The reference is a bare program that inserts a row for each beacon into a table of its own, 200 in a transaction of the
// same durability.
func BenchmarkBeacons(b *testing.B) {
	for _, c := range []struct {
		name             string
		views, inRequest int
	}{{"ten", 500, 10}, {"one", 200, 1}} {
		b.Run(c.name, func(b *testing.B) {
			var accepted, counted, bare, ofBare []float64
			for round := range b.N {
				var ours, theirs time.Duration
				beacons := float64(c.views * projections.PlayParts)
				inTurns(round, func() {
					var done time.Duration
					ours, done = tellServer(b, c.views, c.inRequest)
					accepted, counted = append(accepted, beacons/ours.Seconds()), append(counted, beacons/done.Seconds())
				}, func() {
					theirs = insertBare(b, c.views)
					bare = append(bare, beacons/theirs.Seconds())
				})
				ofBare = append(ofBare, theirs.Seconds()/ours.Seconds())
			}
			reportMedian(b, accepted, "accepted/s")
			reportMedian(b, counted, "counted/s")
			reportMedian(b, bare, "bare/s")
			reportMedian(b, ofBare, "of_bare")
		})
	}
}

// tellServer tells a new server of views and returns how long it took until all was acknowledged, and counted.
func tellServer(b *testing.B, views, inRequest int) (acknowledged, counted time.Duration) {
	b.Helper()
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
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	id := readyVideo(b, a.service.Log, "watched") // of 4 s
	video, err := a.eventLog.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := a.fresh.Wait(b.Context(), video); err != nil {
		b.Fatal(err)
	}
	var bodies []string
	for range views {
		view := uuid.NewString()
		for first := 0; first < projections.PlayParts; first += inRequest {
			var beacons []string
			for n := first; n < first+inRequest; n++ {
				const part = 4.0 / projections.PlayParts
				beacons = append(beacons, fmt.Sprintf(`{"type":"heartbeat","rendition":"240p","from":%.3f,"to":%.3f,"watched":%.1f}`,
					(float64(n)+0.1)*part, (float64(n)+0.9)*part, float64(n+1)/2))
			}
			bodies = append(bodies, fmt.Sprintf(`{"video":%q,"view":%q,"beacons":[%s]}`, id, view, strings.Join(beacons, ",")))
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	sending := errgroup.Group{}
	sending.SetLimit(16)
	began := time.Now()
	for _, body := range bodies {
		sending.Go(func() error {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url()+"/v1/views", strings.NewReader(body))
			if err != nil {
				return err
			}
			r.Header.Set("Content-Type", "application/json")
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode != http.StatusAccepted {
				err = fmt.Errorf("status %d: %s", resp.StatusCode, text)
			}
			return errors.Join(err, resp.Body.Close())
		})
	}
	if err := sending.Wait(); err != nil {
		b.Fatal(err)
	}
	acknowledged = time.Since(began)
	for deadline := began.Add(2 * time.Minute); ; {
		var played projections.PlayFigures
		err := a.plays.Each(ctx, began.Add(-time.Hour), began.Add(time.Hour), id, func(p projections.Play) error {
			played.Add(p)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if slices.Min(played.Parts[:]) == views {
			counted = time.Since(began)
			if played.Views != views || slices.Max(played.Parts[:]) != views || played.Watched != time.Duration(views)*projections.PlayParts/2*time.Second {
				b.Fatalf("counted are %d views, %s, %v", played.Views, played.Watched, played.Parts)
			}
			return acknowledged, counted
		}
		if time.Now().After(deadline) {
			b.Fatalf("of %d views are counted %v", views, played.Parts)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// insertBare inserts as many beacons into a table.
func insertBare(b *testing.B, views int) time.Duration {
	b.Helper()
	db, err := sqlite.OpenDB(b.Context(), filepath.Join(b.TempDir(), "bare.db"), sqlite.Full)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE beacons (view TEXT, seq INTEGER, rendition TEXT, part INTEGER, watched INTEGER,
		PRIMARY KEY (view, seq)) STRICT, WITHOUT ROWID`); err != nil {
		b.Fatal(err)
	}
	ids := make([]string, views)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	began := time.Now()
	const atOnce = 200
	for n := 0; n < views*projections.PlayParts; n += atOnce {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		insert, err := tx.PrepareContext(b.Context(), `INSERT OR IGNORE INTO beacons VALUES (?, ?, '240p', ?, ?)`)
		if err != nil {
			b.Fatal(err)
		}
		for i := n; i < min(n+atOnce, views*projections.PlayParts); i++ {
			seq := i % projections.PlayParts
			if _, err := insert.ExecContext(b.Context(), ids[i/projections.PlayParts], seq, seq, seq*500); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}
