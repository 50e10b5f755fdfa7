package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// building writes a generation that nobody else knows: it needs no steps, and a crash leaves nothing that counts.
type building[R any] struct {
	rows *Rows[R]
	gen  *generation
	at   domain.Position
	sum  *rowSum // of all rows, once it was counted: kept right from then on

	existing existing
}

var _ projections.Rows[int] = (*building[int])(nil)

// builtStep is the number of the step that says how far a generation was built, and is on all of its rows.
const builtStep = 1

// Checkpoint implements projections.Rows.
func (b *building[R]) Checkpoint(context.Context) (domain.Position, error) { return b.at, nil }

// Load implements projections.Rows.
func (b *building[R]) Load(ctx context.Context, keys []string) (map[string]R, error) {
	return loadRows[R](ctx, b.gen.rows, keys)
}

// Save implements projections.Rows.
func (b *building[R]) Save(ctx context.Context, rows map[string]R, drop []string, _, to domain.Position) error {
	docs, err := b.rows.documents(rows)
	if err != nil {
		return err
	}
	for _, prefix := range drop {
		under := bson.D{{Key: "_id", Value: startingWith(prefix)}}
		if err := b.uncount(ctx, under); err != nil {
			return err
		}
		if _, err := b.gen.rows.DeleteMany(ctx, under); err != nil {
			return unavailable(ctx, err)
		}
		b.existing.forget(prefix)
	}
	if err := b.write(ctx, docs); err != nil {
		return err
	}
	b.at = to
	return nil
}

func (b *building[R]) write(ctx context.Context, docs []bson.D) error {
	if len(docs) == 0 {
		return nil
	}
	keys := make([]string, len(docs))
	for i, d := range docs {
		keys[i] = keyOf(d)
	}
	if err := b.uncount(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}); err != nil {
		return err
	}
	if err := b.gen.write(ctx, docs, builtStep, &b.existing); err != nil {
		return unavailable(ctx, err)
	}
	if b.sum != nil {
		for _, d := range docs {
			doc, _ := d[1].Value.(string)
			b.sum.add(&rowDoc{Key: keyOf(d), Doc: doc})
		}
	}
	return nil
}

// uncount takes the rows that are about to change out of the sum.
func (b *building[R]) uncount(ctx context.Context, filter bson.D) error {
	if b.sum == nil {
		return nil
	}
	return eachRow(ctx, b.gen.rows, filter, func(row *rowDoc) error { b.sum.remove(row); return nil })
}

// finish says how far the generation was built: from then on it can be used.
func (b *building[R]) finish(ctx context.Context) error {
	_, err := b.gen.steps.ReplaceOne(ctx, bson.D{{Key: "_id", Value: stepKey(builtStep)}},
		stepDoc{Key: stepKey(builtStep), N: builtStep, To: b.at, Applied: true}, options.Replace().SetUpsert(true))
	return unavailable(ctx, err)
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
