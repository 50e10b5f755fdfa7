package mongo_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

func TestProvision(t *testing.T) {
	t.Parallel()
	db := connect(t, backends.Mongo(t))
	t.Cleanup(func() { _ = mongo.Drop(context.Background(), db) })
	wantRefused(t, db, "has no collection commits: run `cinelog provision`")

	planned, err := db.Provision(t.Context(), true)
	if err != nil || !slices.Contains(planned, "create index commit_id of commits on (id 1, unique)") {
		t.Errorf("a dry run: %q, %v", planned, err)
	}
	wantRefused(t, db, "has no collection commits") // nothing was done
	done, err := db.Provision(t.Context(), false)
	if err != nil || !slices.Equal(done, planned) {
		t.Errorf("provisioning did %q, %v; its dry run said %q", done, err, planned)
	}
	if l, err := mongo.OpenLog(t.Context(), db); err != nil {
		t.Error(err)
	} else if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, dry := range []bool{true, false} {
		if again, err := db.Provision(t.Context(), dry); err != nil || len(again) > 0 {
			t.Errorf("a second time, dry run %v: %q, %v", dry, again, err)
		}
	}

	commits := mongo.Collection(db, "commits")
	if err := commits.Indexes().DropOne(t.Context(), "commit_id"); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, db, "has no index commit_id: run `cinelog provision`")
	_, err = commits.Indexes().CreateOne(t.Context(), driver.IndexModel{
		Keys: bson.D{{Key: "id", Value: 1}}, Options: options.Index().SetName("commit_id"),
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, db, "index commit_id of collection commits is not on (id 1, unique): drop it")
}

// openers open everything that Provision creates, but the log.
func openers() map[string]func(context.Context, *mongo.DB) error {
	return map[string]func(context.Context, *mongo.DB) error{
		"catalog":   func(ctx context.Context, db *mongo.DB) error { _, err := mongo.OpenCatalog(ctx, db); return err },
		"analytics": func(ctx context.Context, db *mongo.DB) error { _, err := mongo.OpenAnalytics(ctx, db); return err },
		"playback": func(ctx context.Context, db *mongo.DB) error {
			_, err := mongo.OpenRows(ctx, db, projections.PlaybackModel())
			return err
		},
		"another": func(ctx context.Context, db *mongo.DB) error {
			_, err := mongo.OpenRows(ctx, db, projections.Model[int]{Name: "another", Version: 3})
			return err
		},
	}
}

func TestProvisionReadModels(t *testing.T) {
	t.Parallel()
	uri := backends.Mongo(t)
	db := connect(t, uri)
	t.Cleanup(func() { _ = mongo.Drop(context.Background(), db) })
	another := mongo.View{Name: "another", Version: 3}
	for name, open := range openers() {
		if err := open(t.Context(), db); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "run `cinelog provision`") {
			t.Errorf("%s before it was provisioned: %v", name, err)
		}
	}
	planned, err := db.Provision(t.Context(), true, another)
	if err != nil || !slices.Contains(planned, "create read model another of version 3") {
		t.Errorf("a dry run: %q, %v", planned, err)
	}
	// Of several that provision at once, all succeed, and one of each thing is made.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := connect(t, uri).Provision(t.Context(), false, another); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, open := range openers() {
		if err := open(t.Context(), db); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := generations(t, uri)
	if len(all) != 1 {
		t.Errorf("%d generations of the catalog, want 1", len(all))
	}
	generation := all[0]
	for _, index := range []struct{ collection, name string }{{generation, "words_all"}, {factGenerations(t, uri)[0], "time"}} {
		if err := mongo.Collection(db, index.collection).Indexes().DropOne(t.Context(), index.name); err != nil {
			t.Fatal(err)
		}
		if index.collection == generation {
			if _, err := mongo.OpenCatalog(t.Context(), db); err == nil || !strings.Contains(err.Error(), "has no index words_all: run `cinelog provision`") {
				t.Errorf("the catalog without an index: %v", err)
			}
		} else if _, err := mongo.OpenAnalytics(t.Context(), db); err == nil || !strings.Contains(err.Error(), "has no index time") {
			t.Errorf("analytics without an index: %v", err)
		}
	}
	done, err := db.Provision(t.Context(), false, another)
	if err != nil || len(done) != 2 {
		t.Errorf("mended %q, %v; want the two indexes", done, err)
	}
	for name, open := range openers() {
		if err := open(t.Context(), db); err != nil {
			t.Errorf("%s when mended: %v", name, err)
		}
	}
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	uri := newDatabase(t)
	db := connect(t, uri)
	format := bson.D{{Key: "_id", Value: "format/commits"}}
	meta, commits := mongo.Collection(db, "meta"), mongo.Collection(db, "commits")
	if _, err := meta.UpdateOne(t.Context(), format, bson.D{{Key: "$set", Value: bson.D{{Key: "format", Value: 3}}}}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, db, "written by another release: format 3")
	// The first format did not say so.
	if _, err := meta.DeleteOne(t.Context(), format); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, db, "run `cinelog provision`")
	if _, err := commits.InsertOne(t.Context(), bson.D{{Key: "_id", Value: int64(1)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Provision(t.Context(), false); err == nil || !strings.Contains(err.Error(), "is of format 1") {
		t.Errorf("provisioning a log of format 1: %v", err)
	}
	wantRefused(t, db, "run `cinelog provision`")
	if _, err := commits.DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	if done, err := db.Provision(t.Context(), false); err != nil || len(done) != 1 {
		t.Errorf("provisioning an empty log of format 1 did %q, %v", done, err)
	}
	appendSome(t, openLog(t, uri))
}

func wantRefused(t *testing.T, db *mongo.DB, reason string) {
	t.Helper()
	l, err := mongo.OpenLog(t.Context(), db)
	if err == nil {
		_ = l.Close()
	}
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("opening the log: %v, want %q", err, reason)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"":                              "it looks like mongodb://",
		"postgres://secret@localhost/x": "it looks like mongodb://",
		"mongodb://localhost:port/x":    "it looks like mongodb://",
		"mongodb://u:secret@localhost/x?tls=maybe": "it looks like mongodb://",
	} {
		_, err := mongo.Open(t.Context(), uri, time.Now)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v", uri, err)
		}
	}
	nobody := "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=300"
	if _, err := mongo.Open(t.Context(), nobody, time.Now); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody listens: %v", err)
	}
	u, err := url.Parse(backends.Mongo(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody", "secret")
	_, err = mongo.Open(t.Context(), u.String(), time.Now)
	if err == nil || errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "refuses the user name or the password") {
		t.Errorf("wrong credentials: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in the error: %v", err)
	}
}
