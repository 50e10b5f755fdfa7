package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

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

// newBuilding is for whoever holds the lease of the rebuild: what another one has decided and not applied is applied at once.
func newBuilding[R any](r *Rows[R], gen *generation, skip func(domain.Position) bool) *building[R] {
	s := newSteps(r.gens.db, gen)
	s.impatient = true
	return &building[R]{rows: r, gen: gen, steps: s, skip: skip}
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

// buildDoc says what a build is made of up to a position: the one that gave the text vouches for all up to there.
type buildDoc struct {
	ID      string          `bson:"_id"`
	UpTo    domain.Position `bson:"up_to"`
	Vouched string          `bson:"vouched"`
}

func buildKey(generation string) string { return "build/" + generation }

// vouch has a build say what it is made of up to a position, before it gets there.
func (b *building[R]) vouch(ctx context.Context, o projections.RebuildOptions, upTo domain.Position) error {
	if o.Vouch == nil {
		return nil
	}
	text, err := o.Vouch(ctx, upTo)
	if err != nil {
		return fmt.Errorf("what the build is made of: %w", err)
	}
	doc := buildDoc{ID: buildKey(b.gen.name), UpTo: upTo, Vouched: text}
	_, err = b.rows.gens.db.db.Collection(metaCollection).ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}}, doc, options.Replace().SetUpsert(true))
	return unavailable(ctx, err)
}

// vouched returns how far a build has come, or 0 when it was made of something else than this one would be.
func (b *building[R]) vouched(ctx context.Context, o projections.RebuildOptions) (domain.Position, error) {
	meta := b.rows.gens.db.db.Collection(metaCollection)
	var doc buildDoc
	err := meta.FindOne(ctx, bson.D{{Key: "_id", Value: buildKey(b.gen.name)}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	// One that was in use, or given up, is none.
	if decided, err := meta.CountDocuments(ctx, bson.D{{Key: "_id", Value: "fate/" + b.gen.name}}); err != nil || decided > 0 {
		return 0, unavailable(ctx, err)
	}
	at, err := b.Checkpoint(ctx)
	if err != nil || at == 0 || at > doc.UpTo {
		return 0, err
	}
	now, err := o.Vouch(ctx, doc.UpTo)
	if err != nil || now != doc.Vouched {
		return 0, err
	}
	return at, nil
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
