package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// building writes a generation that nobody uses yet, in steps as that in use is written: a crash leaves a build that can be
// gone on with.
type building[R any] struct {
	rows  *Rows[R]
	gen   *generation
	steps *steps
	skip  func(domain.Position) bool
	at    domain.Position
	sum   *rowSum // of all rows, once it was counted: kept right from then on
}

var _ projections.Rows[int] = (*building[int])(nil)

func newBuilding[R any](r *Rows[R], gen *generation, skip func(domain.Position) bool) *building[R] {
	return &building[R]{rows: r, gen: gen, steps: newBuildSteps(r.gens.db, gen), skip: skip}
}

// Checkpoint implements projections.Rows.
func (b *building[R]) Checkpoint(ctx context.Context) (domain.Position, error) {
	newest, err := b.steps.checkpoint(ctx)
	b.at = newest.To
	return b.at, err
}

// Load implements projections.Rows.
func (b *building[R]) Load(ctx context.Context, keys []string) (map[string]R, error) {
	return loadRows[R](ctx, b.gen.rows, keys)
}

// Save implements projections.Rows.
func (b *building[R]) Save(ctx context.Context, rows map[string]R, drop []string, from, to domain.Position) error {
	docs, err := b.rows.documents(rows)
	if err != nil {
		return err
	}
	if err := b.count(ctx, docs, drop); err != nil {
		return err
	}
	if err := b.steps.save(ctx, docs, drop, from, to); err != nil {
		return err
	}
	b.at = to
	return nil
}

// count keeps the sum right: the rows that go come out of it, the new ones go into it.
func (b *building[R]) count(ctx context.Context, docs []bson.D, drop []string) error {
	if b.sum == nil {
		return nil
	}
	gone := map[string]bool{}
	out := func(row *rowDoc) error {
		if !gone[row.Key] {
			gone[row.Key] = true
			b.sum.remove(row)
		}
		return nil
	}
	for _, prefix := range drop {
		if err := eachRow(ctx, b.gen.rows, bson.D{{Key: "_id", Value: startingWith(prefix)}}, out); err != nil {
			return err
		}
	}
	keys := make([]string, len(docs))
	for i, d := range docs {
		keys[i] = keyOf(d)
	}
	if len(keys) > 0 {
		if err := eachRow(ctx, b.gen.rows, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}, out); err != nil {
			return err
		}
	}
	for _, d := range docs {
		doc, _ := d[1].Value.(string)
		b.sum.add(&rowDoc{Key: keyOf(d), Doc: doc})
	}
	return nil
}

// countAll counts all rows.
func (b *building[R]) countAll(ctx context.Context) error {
	sum := &rowSum{}
	err := eachRow(ctx, b.gen.rows, bson.D{}, func(row *rowDoc) error { sum.add(row); return nil })
	b.sum = sum
	return err
}

// revive lets a generation that was replaced go on: a step after its last one takes that back.
func (b *building[R]) revive(ctx context.Context) error {
	newest, err := b.steps.checkpoint(ctx)
	if err != nil || newest.Retired == "" {
		return err
	}
	b.steps.mu.Lock()
	defer b.steps.mu.Unlock()
	return b.steps.take(ctx, &stepDoc{From: newest.To, To: newest.To, Applied: true})
}

// rowSum sums rows up in whatever order: the sum of their hashes, as 256-bit numbers. It finds mistakes, not attackers.
type rowSum struct {
	total [4]uint64 // lowest first
	rows  int
}

func (s *rowSum) add(row *rowDoc) {
	var carry uint64
	for i, n := range hashRow(row) {
		s.total[i], carry = bits.Add64(s.total[i], n, carry)
	}
	s.rows++
}

func (s *rowSum) remove(row *rowDoc) {
	var borrow uint64
	for i, n := range hashRow(row) {
		s.total[i], borrow = bits.Sub64(s.total[i], n, borrow)
	}
	s.rows--
}

func (s *rowSum) String() string {
	var b [32]byte
	for i, n := range s.total {
		binary.BigEndian.PutUint64(b[24-8*i:], n)
	}
	return hex.EncodeToString(b[:])
}

func hashRow(row *rowDoc) (numbers [4]uint64) {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(row.Key)))
	h.Write(n[:])
	h.Write([]byte(row.Key))
	h.Write([]byte(row.Doc))
	sum := h.Sum(nil)
	for i := range numbers {
		numbers[i] = binary.BigEndian.Uint64(sum[24-8*i:])
	}
	return numbers
}
