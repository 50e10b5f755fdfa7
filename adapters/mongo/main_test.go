package mongo_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/test/backends"
)

// TestMain lets the test binary also be the other process of a benchmark, and those that tests kill.
func TestMain(m *testing.M) {
	if uri := os.Getenv("CINELOG_TEST_APPEND_TO"); uri != "" {
		appendAsTold(uri)
		return
	}
	if uri := os.Getenv("CINELOG_TEST_REBUILD_IN"); uri != "" {
		rebuildUntilKilled(uri)
		return
	}
	if uri := os.Getenv("CINELOG_TEST_REBUILD_FACTS_IN"); uri != "" {
		rebuildFactsUntilKilled(uri)
		return
	}
	goleak.VerifyTestMain(m)
}

// newDatabase returns the address of a database that nobody else has, with everything provisioned in it.
func newDatabase(t testing.TB) string {
	t.Helper()
	uri := backends.Mongo(t)
	db := connect(t, uri)
	t.Cleanup(func() {
		if err := mongo.Drop(context.Background(), db); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Provision(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return uri
}

func connect(t testing.TB, uri string) *mongo.DB {
	t.Helper()
	if !strings.Contains(uri, "?") { // on a busy machine a stand-in may take its time
		uri += "?timeoutMS=60000"
	}
	db, err := mongo.Open(t.Context(), uri, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, db)
	return db
}

// patient is connect where no holder of a lease dies: on a busy machine nothing may be heard of one for long.
func patient(t testing.TB, uri string) *mongo.DB {
	t.Helper()
	db := connect(t, uri)
	mongo.LeaseLife(db, time.Minute)
	return db
}

func closeAtEnd(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
