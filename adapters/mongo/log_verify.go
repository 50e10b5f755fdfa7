package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
)

// maxFindings is where VerifyChain gives up: one cause can break everything after it.
const maxFindings = 100

// VerifyChain folds the log from its first event: positions without a gap, versions of every stream from 1 on, and
// every commit's hash over the one before it. It returns what it found, in words for the operator, at most 100
// findings; none means that the log is as it was written. Appends may go on meanwhile.
func (r *LogReader) VerifyChain(ctx context.Context) (findings []string, err error) {
	chain := chain{next: 1, versions: map[string]int{}}
	err = eachCommit(ctx, r.commits, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}), func(c *commitDoc) error {
		for _, f := range chain.follow(c) {
			findings = append(findings, fmt.Sprintf("commit at %d: %s", c.First, f))
		}
		if len(findings) >= maxFindings {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify the log: %w", err)
	}
	return findings[:min(len(findings), maxFindings)], nil
}

// chain is where the fold over the log stands.
type chain struct {
	next     domain.Position
	hash     []byte
	versions map[string]int
}

// follow checks one commit and goes on from what it says, so that one broken commit is one finding and not as many as
// there are commits after it.
func (c *chain) follow(d *commitDoc) (findings []string) {
	events := len(d.Events)
	if d.First != c.next {
		findings = append(findings, fmt.Sprintf("expected position %d", c.next))
	}
	if want := c.versions[d.Stream] + 1; d.Version != want {
		findings = append(findings, fmt.Sprintf("version %d of stream %s, expected %d", d.Version, d.Stream, want))
	}
	if d.Last != d.First+domain.Position(events)-1 || d.Next != d.Version+events || events == 0 {
		findings = append(findings, fmt.Sprintf("%d events, but it says that it ends at %d, version %d", events, d.Last, d.Next-1))
	}
	if _, err := d.decode(func(domain.Recorded) bool { return true }); err != nil {
		findings = append(findings, err.Error())
	}
	encoded := make([]domain.EncodedEvent, events)
	for i, e := range d.Events {
		encoded[i] = domain.EncodedEvent{Type: e.Type, Data: []byte(e.Data)}
	}
	commit := domain.Commit{
		Meta: domain.Meta(d.Meta), ID: d.ID, Stream: d.Stream, Expected: d.Version - 1, Time: time.UnixMicro(d.Time),
	}
	if want := domain.ChainHash(c.hash, d.First, commit, encoded); string(want) != string(d.Hash) {
		findings = append(findings, "the hash does not fit to the content and the commit before")
	}
	c.next = max(d.First, d.Last) + 1
	c.versions[d.Stream] = d.Next - 1
	c.hash = d.Hash
	return findings
}
