package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// operationsCollection holds what people have said to the running system, which no event says and nothing can make
// again. Keys begin with what the document is about.
func operationsCollection() collection { return collection{name: "operations"} }

// Controls keep what is said about projections beside the log.
type Controls struct{ docs *mongo.Collection }

var _ projections.Controls = (*Controls)(nil)

// NewControls needs nothing that is not there by itself.
func NewControls(db *DB) *Controls {
	return &Controls{db.db.Collection(operationsCollection().name)}
}

type controlDoc struct {
	ID      string   `bson:"_id"`
	Paused  int64    `bson:"paused"` // since when, in microseconds since 1970; 0 when it is not
	Resumed int64    `bson:"resumed"`
	Halt    *haltDoc `bson:"halt"`
}

type haltDoc struct {
	Position domain.Position `bson:"position"`
	Type     string          `bson:"type"`
	Video    domain.VideoID  `bson:"video"`
	Error    string          `bson:"error"`
	Since    int64           `bson:"since"`
}

type skipDoc struct {
	ID       string          `bson:"_id"`
	Position domain.Position `bson:"position"`
	Reason   string          `bson:"reason"`
	Time     int64           `bson:"time"`
}

func controlKey(projection string) string { return "projection/" + projection }

func skipKeys(projection string) string { return "skip/" + projection + "/" }

// Control implements projections.Controls.
func (c *Controls) Control(ctx context.Context, projection string) (said projections.Control, err error) {
	d, err := c.find(ctx, projection)
	if err != nil {
		return said, err
	}
	said.Resumed = d.Resumed
	if d.Paused != 0 {
		said.Paused, said.PausedSince = true, time.UnixMicro(d.Paused).UTC()
	}
	if h := d.Halt; h != nil {
		said.Halt = &projections.Halt{
			Position: h.Position, Type: h.Type, Video: h.Video, Error: h.Error, Since: time.UnixMicro(h.Since).UTC(),
		}
	}
	found, err := c.docs.Find(ctx, bson.D{{Key: "_id", Value: startingWith(skipKeys(projection))}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	var skips []skipDoc
	if err == nil {
		err = found.All(ctx, &skips)
	}
	if err != nil {
		return said, fmt.Errorf("what %s skips: %w", projection, unavailable(ctx, err))
	}
	for _, s := range skips {
		said.Skips = append(said.Skips, projections.Skip{Position: s.Position, Reason: s.Reason, Time: time.UnixMicro(s.Time).UTC()})
	}
	return said, nil
}

func (c *Controls) find(ctx context.Context, projection string) (d controlDoc, err error) {
	err = c.docs.FindOne(ctx, bson.D{{Key: "_id", Value: controlKey(projection)}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return controlDoc{}, nil
	}
	if err != nil {
		return d, fmt.Errorf("what is said about %s: %w", projection, unavailable(ctx, err))
	}
	return d, nil
}

// Pause implements projections.Controls.
func (c *Controls) Pause(ctx context.Context, projection string, now time.Time) error {
	return c.say(ctx, projection, bson.D{{Key: "$set", Value: bson.D{{Key: "paused", Value: now.UnixMicro()}}}}, bson.E{Key: "paused", Value: 0})
}

// Resume implements projections.Controls.
func (c *Controls) Resume(ctx context.Context, projection string) error {
	return c.say(ctx, projection, bson.D{
		{Key: "$set", Value: bson.D{{Key: "paused", Value: 0}}}, {Key: "$inc", Value: bson.D{{Key: "resumed", Value: 1}}},
	})
}

// Skip implements projections.Controls.
func (c *Controls) Skip(ctx context.Context, projection string, s projections.Skip) error {
	_, err := c.docs.InsertOne(ctx, skipDoc{
		ID: fmt.Sprintf("%s%020d", skipKeys(projection), s.Position), Position: s.Position, Reason: s.Reason, Time: s.Time.UnixMicro(),
	})
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("%s is to skip %d: %w", projection, s.Position, unavailable(ctx, err))
	}
	return nil
}

// Halted implements projections.Controls.
func (c *Controls) Halted(ctx context.Context, projection string, h *projections.Halt) error {
	if h == nil {
		return c.say(ctx, projection, bson.D{{Key: "$set", Value: bson.D{{Key: "halt", Value: nil}}}})
	}
	d := haltDoc{Position: h.Position, Type: h.Type, Video: h.Video, Error: h.Error, Since: h.Since.UnixMicro()}
	before, err := c.find(ctx, projection)
	if err != nil {
		return err
	}
	if before.Halt != nil && before.Halt.Position == h.Position {
		d.Since = before.Halt.Since
	}
	return c.say(ctx, projection, bson.D{{Key: "$set", Value: bson.D{{Key: "halt", Value: d}}}})
}

// say changes the document of a projection, where it meets a condition.
func (c *Controls) say(ctx context.Context, projection string, change bson.D, condition ...bson.E) error {
	_, err := c.docs.InsertOne(ctx, controlDoc{ID: controlKey(projection)})
	if err == nil || mongo.IsDuplicateKeyError(err) {
		_, err = c.docs.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: controlKey(projection)}}, condition...), change)
	}
	if err != nil {
		return fmt.Errorf("say something about %s: %w", projection, unavailable(ctx, err))
	}
	return nil
}
