package mongo_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// TestRebuildSurvivesKill kills a process that rebuilds the catalog at several moments. Whatever it was doing, the catalog
// is whole afterwards, and the next rebuild goes on where it was cut off.
func TestRebuildSurvivesKill(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	live := openCatalog(t, uri)
	story := killStory()
	catchUp(t, story, live)
	want := hash(t, live)
	resumed := 0
	for _, signs := range []int{1, 3, 6} {
		killAt(t, strconv.Itoa(signs), "CINELOG_TEST_REBUILD_IN="+uri)
		if got := hash(t, openCatalog(t, uri)); got != want {
			t.Fatalf("killed after %d batches: the rows are others", signs)
		}
		done, err := live.Rebuild(t.Context(), story, &projections.RebuildOptions{
			Vouch: alwaysTheSame, Resumed: func(domain.Position) { resumed++ },
		})
		if err != nil || !done.Equal() || done.Rows != len(story.Events)/2 {
			t.Fatalf("rebuilt after %d batches: %+v, %v", signs, done, err)
		}
		if n := len(generations(t, uri)); n != 2 {
			t.Errorf("%d generations are left, want 2", n)
		}
	}
	if resumed != 3 {
		t.Errorf("%d rebuilds went on where one was cut off, want 3", resumed)
	}
}

// killAt starts another process, which the environment tells what to do, and kills it when it gives a sign.
func killAt(t *testing.T, sign string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == sign {
			seen = true
			_ = cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); !seen {
		t.Fatalf("it never came to %s: %v", sign, err)
	}
}

func alwaysTheSame(context.Context, domain.Position) (string, error) { return "the same", nil }

// killStory is the same in both processes. An event counts in a row however often it is applied: once too often shows.
func killStory() *contract.Story {
	s := manyTitles(40)
	for i := range 40 {
		s.Add(fmt.Sprint("v", i), domain.VideoPublished{})
	}
	return s
}

// rebuildUntilKilled is the other process.
func rebuildUntilKilled(uri string) {
	ctx := context.Background()
	db, err := mongo.Open(ctx, uri, time.Now)
	if err != nil {
		panic(err)
	}
	c, err := mongo.OpenCatalog(ctx, db)
	if err != nil {
		panic(err)
	}
	n := 0
	_, err = c.Rebuild(ctx, killStory(), &projections.RebuildOptions{Rate: 50, Vouch: alwaysTheSame, Progress: func(domain.Position) {
		n++
		fmt.Println(n)
	}})
	panic(fmt.Sprint("it came to its end: ", err))
}
