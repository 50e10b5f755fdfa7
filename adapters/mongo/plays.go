package mongo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Plays keeps what players have told, one document a view. A document is replaced only as it was read; who finds that
// somebody else was faster joins again.
type Plays struct{ plays, salts *mongo.Collection }

var _ projections.Plays = (*Plays)(nil)

type playDoc struct {
	ID        string                `bson:"_id"` // video/view
	Revision  int64                 `bson:"revision"`
	Video     domain.VideoID        `bson:"video"`
	View      string                `bson:"view"`
	First     int64                 `bson:"first"` // microseconds since 1970
	Last      int64                 `bson:"last"`
	Viewer    int64                 `bson:"viewer"`
	Country   string                `bson:"country"`
	Started   bool                  `bson:"started"`
	Ended     bool                  `bson:"ended"`
	Startup   int64                 `bson:"startup"` // nanoseconds; -1 for none
	StartupIn string                `bson:"startup_in"`
	Error     projections.PlayError `bson:"error"`
	Parts     int64                 `bson:"parts"`
	Qualities []qualityDoc          `bson:"qualities"` // a list: a name may not be that of a field
}

type qualityDoc struct {
	Name    string `bson:"name"`
	Watched int64  `bson:"watched"` // nanoseconds
	Stalled int64  `bson:"stalled"`
	Stalls  int    `bson:"stalls"`
}

type saltDoc struct {
	Day  int64  `bson:"_id"`
	Salt []byte `bson:"salt"`
}

func playsCollection() collection {
	return collection{name: "plays", indexes: []index{
		{name: "time", keys: bson.D{{Key: "first", Value: 1}}},
		{name: "video", keys: bson.D{{Key: "video", Value: 1}, {Key: "first", Value: 1}}},
	}}
}

func saltsCollection() collection { return collection{name: "play_salts"} }

// OpenPlays opens the store, which Provision has created. ErrNotFound when it has not. It needs no closing.
func OpenPlays(ctx context.Context, db *DB) (*Plays, error) {
	for _, c := range []collection{playsCollection(), saltsCollection()} {
		if err := db.provisioned(ctx, c); err != nil {
			return nil, fmt.Errorf("open plays: %w", err)
		}
	}
	return &Plays{db.db.Collection(playsCollection().name), db.db.Collection(saltsCollection().name)}, nil
}

func playDocOf(p projections.Play) playDoc {
	doc := playDoc{
		ID: string(p.Video) + "/" + p.View, Video: p.Video, View: p.View, First: p.First.UnixMicro(), Last: p.Last.UnixMicro(),
		Viewer: p.Viewer, Country: p.Country, Started: p.Started, Ended: p.Ended, Startup: -1, Error: p.Error,
		Parts: int64(p.Parts), //nolint:gosec // 50 bits
	}
	if p.Startup != nil {
		doc.Startup, doc.StartupIn = int64(p.Startup.Took), p.Startup.Rendition
	}
	for name, t := range p.Qualities {
		doc.Qualities = append(doc.Qualities, qualityDoc{name, int64(t.Watched), int64(t.Stalled), t.Stalls})
	}
	slices.SortFunc(doc.Qualities, func(a, b qualityDoc) int { return cmp.Compare(a.Name, b.Name) })
	return doc
}

func (doc playDoc) play() projections.Play {
	p := projections.Play{
		Video: doc.Video, View: doc.View, First: time.UnixMicro(doc.First).UTC(), Last: time.UnixMicro(doc.Last).UTC(),
		Viewer: doc.Viewer, Country: doc.Country, Started: doc.Started, Ended: doc.Ended, Error: doc.Error,
		Parts: uint64(doc.Parts), //nolint:gosec // 50 bits
	}
	if doc.Startup >= 0 {
		p.Startup = &projections.Startup{Took: time.Duration(doc.Startup), Rendition: doc.StartupIn}
	}
	for _, q := range doc.Qualities {
		if p.Qualities == nil {
			p.Qualities = map[string]projections.PlayTimes{}
		}
		p.Qualities[q.Name] = projections.PlayTimes{Watched: time.Duration(q.Watched), Stalled: time.Duration(q.Stalled), Stalls: q.Stalls}
	}
	return p
}

// same says whether nothing is to be written.
func (doc playDoc) same(o playDoc) bool {
	doc.Revision = o.Revision
	return reflect.DeepEqual(doc, o)
}

// Record implements projections.Plays.
func (s *Plays) Record(ctx context.Context, told []projections.Play) error {
	for some := range slices.Chunk(projections.JoinPlays(told), recordAtOnce) {
		for done := false; !done; {
			var err error
			if done, err = s.join(ctx, some); err != nil {
				return fmt.Errorf("record views: %w", unavailable(ctx, err))
			}
		}
	}
	return nil
}

// join is done when all that was told is stored, by whomever: otherwise somebody else has written meanwhile.
func (s *Plays) join(ctx context.Context, told []projections.Play) (done bool, err error) {
	ids := make([]string, len(told))
	for i, p := range told {
		ids[i] = playDocOf(p).ID
	}
	var stored []playDoc
	found, err := s.plays.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err == nil {
		err = found.All(ctx, &stored)
	}
	if err != nil {
		return false, err
	}
	have := make(map[string]playDoc, len(stored))
	for _, doc := range stored {
		have[doc.ID] = doc
	}
	var fresh []playDoc
	var changes []mongo.WriteModel
	for i, p := range told {
		old, ok := have[ids[i]]
		if !ok {
			fresh = append(fresh, playDocOf(p))
			continue
		}
		doc := playDocOf(old.play().Join(p))
		if doc.same(old) {
			continue
		}
		doc.Revision = old.Revision + 1
		changes = append(changes, mongo.NewReplaceOneModel().SetReplacement(doc).
			SetFilter(append(byID(doc.ID), bson.E{Key: "revision", Value: old.Revision})))
	}
	done = true
	if len(fresh) > 0 {
		_, err := s.plays.InsertMany(ctx, fresh, options.InsertMany().SetOrdered(false))
		if err != nil && !onlyDuplicates(err) {
			return false, err
		}
		done = err == nil
	}
	if len(changes) > 0 {
		result, err := s.plays.BulkWrite(ctx, changes, options.BulkWrite().SetOrdered(false))
		if err != nil {
			return false, err
		}
		done = done && result.MatchedCount == int64(len(changes))
	}
	return done, nil
}

// Each implements projections.Plays.
func (s *Plays) Each(
	ctx context.Context, from, to time.Time, video domain.VideoID, f func(projections.Play) error,
) error {
	filter := bson.D{{Key: "first", Value: within(from.UnixMicro(), to.UnixMicro())}}
	if video != "" {
		filter = append(filter, bson.E{Key: "video", Value: video})
	}
	cursor, err := s.plays.Find(ctx, filter)
	if err != nil {
		return fmt.Errorf("read views: %w", unavailable(ctx, err))
	}
	for err == nil && cursor.Next(ctx) {
		var doc playDoc
		if err = bson.Unmarshal(cursor.Current, &doc); err == nil {
			err = f(doc.play())
		}
	}
	if err = errors.Join(err, cursor.Err(), cursor.Close(context.WithoutCancel(ctx))); err != nil {
		return fmt.Errorf("read views: %w", unavailable(ctx, err))
	}
	return nil
}

// Salt implements projections.Plays.
func (s *Plays) Salt(ctx context.Context, day time.Time) ([]byte, error) {
	salt := saltDoc{projections.DayNumber(day), make([]byte, projections.SaltBytes)}
	_, _ = rand.Read(salt.Salt) // it never fails
	_, err := s.salts.InsertOne(ctx, salt)
	if mongo.IsDuplicateKeyError(err) { // somebody has made it
		err = s.salts.FindOne(ctx, bson.D{{Key: "_id", Value: salt.Day}}).Decode(&salt)
	}
	if err == nil {
		_, err = s.salts.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: salt.Day}}}})
	}
	if err != nil {
		return nil, fmt.Errorf("the salt of the day: %w", unavailable(ctx, err))
	}
	return salt.Salt, nil
}

// Prune implements projections.Plays.
func (s *Plays) Prune(ctx context.Context, before time.Time, atMost int) (int, error) {
	end := before.UnixMicro()
	var newest []playDoc // the first one of those that are too many
	found, err := s.plays.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "first", Value: -1}}).
		SetSkip(int64(atMost)).SetLimit(1).SetProjection(bson.D{{Key: "first", Value: 1}}))
	if err == nil {
		err = found.All(ctx, &newest)
	}
	if err != nil {
		return 0, fmt.Errorf("prune views: %w", unavailable(ctx, err))
	}
	if len(newest) > 0 {
		end = max(end, newest[0].First+1)
	}
	deleted, err := s.plays.DeleteMany(ctx, bson.D{{Key: "first", Value: bson.D{{Key: "$lt", Value: end}}}})
	if err != nil {
		return 0, fmt.Errorf("prune views: %w", unavailable(ctx, err))
	}
	return int(deleted.DeletedCount), nil
}
