package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

var _ commands.TextEraser = (*Log)(nil)

// EraseTexts implements commands.TextEraser. Each event is replaced by itself, so that two who erase at once do not bring
// back what the other one has erased. Processes that have the texts in memory forget them when they come to the event that
// records the erasure (tail.add). The server's own files, and its log of operations, are its business.
func (l *Log) EraseTexts(ctx context.Context, stream string, e domain.VideoErased) error {
	if err := l.eraseTexts(ctx, stream, e); err != nil {
		return fmt.Errorf("erase texts of stream %s: %w", stream, err)
	}
	return nil
}

func (l *Log) eraseTexts(ctx context.Context, stream string, e domain.VideoErased) error {
	changes := map[string]bson.D{}
	versions := 0
	err := eachCommit(ctx, l.commits, bson.D{{Key: "stream", Value: stream}}, options.Find(), func(c *commitDoc) error {
		events, changed, err := e.Apply(c.stored())
		if err != nil {
			return err
		}
		versions += len(events)
		for _, i := range changed {
			changes[c.Key] = append(changes[c.Key], bson.E{Key: fmt.Sprintf("events.%d.data", i), Value: string(events[i].Data)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := e.Within(versions); err != nil {
		return err
	}
	for key, set := range changes {
		if _, err := l.commits.UpdateByID(ctx, key, bson.D{{Key: "$set", Value: set}}); err != nil {
			return unavailable(ctx, err)
		}
	}
	return nil
}
