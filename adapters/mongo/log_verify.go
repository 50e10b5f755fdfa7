package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
)

// VerifyChain follows the log from its first event, as domain.ChainCheck does. It returns what it found, in words for
// the operator, at most 100 findings; none means that the log is as it was written. Appends may go on meanwhile.
func (r *LogReader) VerifyChain(ctx context.Context) ([]string, error) {
	var check domain.ChainCheck
	byPosition := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}})
	err := eachCommit(ctx, r.commits, bson.D{}, byPosition, func(c *commitDoc) error {
		var broken []string
		if key := commitKey(c.First); c.Key != key {
			broken = append(broken, fmt.Sprintf("its key is %s, not %s", c.Key, key))
		}
		check.Follow(c.stored(), c.Last, c.Next-1, broken...)
		if check.Full() {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify the log: %w", err)
	}
	return check.Findings(), nil
}
