package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TestRebuildSurvivesKill kills a process that rebuilds the catalog again and again: while it builds, and at the switch.
// Whatever it was doing, the catalog is whole afterwards, and a rebuild goes on where it was cut off.
func TestRebuildSurvivesKill(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		rate   int // so many that most of a rebuild is its switch, or so few that most of it is not
		resume bool
	}{{"at the switch", 0, false}, {"during the build", 1500, true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			kills := 8
			if os.Getenv("CINELOG_LONG") != "" {
				kills = 100
			}
			dir := t.TempDir()
			log := openLog(t, dir)
			for v := range 20 {
				createBusy(t, log, fmt.Sprint("v", v))
			}
			follow := func(c *sqlite.Catalog) {
				t.Helper()
				target := projections.NewReadModel(projections.CatalogModel(), c)
				for {
					_, err := projections.CatchUp(t.Context(), log, target, projections.CatchUpOptions{})
					if err == nil {
						return
					}
					if !errors.Is(err, domain.ErrConflict) {
						t.Fatal(err)
					}
				}
			}
			live := openCatalog(t, dir)
			follow(live)
			resumed, switched := 0, 0
			for kill := range kills {
				switched += rebuildAndKill(t, dir, test.rate)
				createBusy(t, log, fmt.Sprint("w", kill))
				follow(live)
				for name, c := range map[string]*sqlite.Catalog{"the one that was open": live, "one opened again": openCatalog(t, dir)} {
					head, _ := log.Head(t.Context())
					if sum, at, err := c.Hash(t.Context()); err != nil || at != head || sum != freshHash(t, log) {
						t.Fatalf("kill %d, %s: %s at %d of %d, %v", kill, name, sum, at, head, err)
					}
				}
				if kill%2 == 0 {
					continue // the next process finds what is left
				}
				done, err := live.Rebuild(t.Context(), log, &projections.RebuildOptions{
					Vouch: alwaysTheSame, Resumed: func(domain.Position) { resumed++ },
				})
				if err != nil || !done.Equal() {
					t.Fatalf("kill %d: rebuilt afterwards: %+v, %v", kill, done, err)
				}
			}
			t.Logf("%d kills, %d switches before them, %d rebuilds went on where one was cut off", kills, switched, resumed)
			if test.resume && resumed == 0 {
				t.Error("no rebuild went on where one was cut off")
			}
			if !test.resume && switched == 0 {
				t.Error("no process came to the switch")
			}
		})
	}
}

// createBusy appends a video of 40 events.
func createBusy(t *testing.T, log *sqlite.Log, id string) {
	t.Helper()
	events := []domain.Event{domain.VideoCreated{Owner: "local", Details: domain.Details{Title: "go " + id, Visibility: domain.Public}}}
	for range 39 {
		events = append(events, domain.VideoPublished{})
	}
	if _, err := log.Append(t.Context(), domain.Commit{ID: id, Stream: id, Time: time.Now(), Events: events}); err != nil {
		t.Fatal(err)
	}
}

// freshHash is the hash of the catalog that the log gives in one go.
func freshHash(t *testing.T, log projections.Log) string {
	t.Helper()
	c := openCatalog(t, t.TempDir())
	if _, err := projections.CatchUp(t.Context(), log, projections.NewReadModel(projections.CatalogModel(), c), projections.CatchUpOptions{}); err != nil {
		t.Fatal(err)
	}
	sum, _, err := c.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func alwaysTheSame(context.Context, domain.Position) (string, error) { return "the same", nil }

// rebuildAndKill returns how many rebuilds came to their end before.
func rebuildAndKill(t *testing.T, dir string, rate int) (switched int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CINELOG_TEST_REBUILD_IN="+dir, fmt.Sprint("CINELOG_TEST_RATE=", rate))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	signs := 1 + rand.IntN(10)
	for n := 0; lines.Scan(); n++ {
		if lines.Text() == "switched" {
			switched++
		}
		if n == signs { // not at once, so that the moment is not tied to a sign of life
			time.AfterFunc(time.Duration(rand.Int64N(int64(20*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	return switched
}

// rebuildUntilKilled is the other process.
func rebuildUntilKilled(dir string, rate int) {
	ctx := context.Background()
	log, err := sqlite.OpenLogReadOnly(ctx, dir)
	if err != nil {
		panic(err)
	}
	c, err := sqlite.OpenCatalog(ctx, dir)
	if err != nil {
		panic(err)
	}
	for {
		_, err := c.Rebuild(ctx, log, &projections.RebuildOptions{
			Rate: rate, Vouch: alwaysTheSame, Progress: func(p domain.Position) { fmt.Println(p) },
		})
		if err != nil {
			panic(err)
		}
		fmt.Println("switched")
	}
}
