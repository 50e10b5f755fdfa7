package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// sendBeacon tells of a view that has begun and played for ten seconds of the server's allowance.
func sendBeacon(ctx context.Context, api, video, view string) error {
	body := fmt.Sprintf(`{"video":%q,"view":%q,"beacons":[{"type":"start","startup":0.5},{"type":"heartbeat","watched":10,"stalled":2,"stalls":1}]}`, video, view)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/v1/views", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// told is what the server says that it has counted.
type told struct {
	Views        int     `json:"views"`
	Viewers      int     `json:"viewers"`
	WatchSeconds float64 `json:"watch_seconds"`
	Stalls       int     `json:"stalls"`
}

// TestBeaconsSurviveKills kills the server while players tell it of views: each that it has acknowledged is counted, and
// once, however often it is told of. A rebuild of the figures leaves them alone.
func TestBeaconsSurviveKills(t *testing.T) {
	t.Parallel()
	dir, binary := t.TempDir(), buildBinary(t)
	data := filepath.Join(dir, "data")
	var video struct{ ID string }
	var views []string // of all that were acknowledged
	const kills, perRun, players = 3, 50, 8
	sent := 0
	for run := range kills + 1 {
		p := startProcess(t, nil, binary, data, filepath.Join(dir, fmt.Sprint(run, ".log")))
		api := p.address(t)
		if run == 0 {
			askAPI(t, "POST", api+"/v1/videos", `{"title":"A"}`, &video)
			eventually(t, time.Minute, func() string { // the catalog is about to know the video
				if err := sendBeacon(t.Context(), api, video.ID, uuid.NewString()); err != nil {
					return err.Error()
				}
				return ""
			})
		}
		var mu sync.Mutex
		var sending sync.WaitGroup
		enough := make(chan struct{})
		begun := len(views)
		for range players {
			sending.Go(func() {
				for {
					view := uuid.NewString()
					mu.Lock()
					done := len(views) >= begun+perRun
					sent++
					mu.Unlock()
					if done || sendBeacon(t.Context(), api, video.ID, view) != nil { // it was killed
						return
					}
					mu.Lock()
					if views = append(views, view); len(views) == begun+perRun {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		if run < kills {
			p.kill()
			sending.Wait()
			continue
		}
		sending.Wait()
		again := errgroup.Group{}
		again.SetLimit(players)
		for _, view := range views { // as by players that have heard no answer
			again.Go(func() error { return sendBeacon(t.Context(), api, video.ID, view) })
		}
		if err := again.Wait(); err != nil {
			t.Fatal(err)
		}
		var got told
		eventually(t, time.Minute, func() string {
			askAPI(t, "GET", api+"/v1/analytics/totals", "", &got)
			if got.Views < len(views) {
				return fmt.Sprintf("%d of %d views that were acknowledged are counted", got.Views, len(views))
			}
			return ""
		})
		once := func() {
			if got.Views > sent+1 || got.Viewers < 1 || got.Viewers > 2 || got.WatchSeconds != float64(10*got.Views) || got.Stalls != got.Views {
				t.Errorf("counted of %d that were sent: %+v", sent, got)
			}
		}
		once()
		cinelog(t, exitDone, "--data", data, "replay", "analytics")
		before := got
		askAPI(t, "GET", api+"/v1/analytics/totals", "", &got)
		once()
		if got.Views < before.Views { // there may be more: some were sent and not acknowledged
			t.Errorf("after a rebuild %+v, before %+v", got, before)
		}
		p.kill()
	}
}
