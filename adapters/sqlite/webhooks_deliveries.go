package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// Cursor implements webhooks.Store.
func (s *Webhooks) Cursor(ctx context.Context, id string) (c webhooks.Cursor, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT round, position FROM webhook_endpoints WHERE id = ?", id).Scan(&c.Round, &c.Position)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("read the cursor of endpoint %s: %w", id, unavailable(err))
	}
	return c, nil
}

// Advance implements webhooks.Store: all of it or nothing.
func (s *Webhooks) Advance(ctx context.Context, id string, to webhooks.Cursor, deliveries []webhooks.Delivery) error {
	if err := s.advance(ctx, id, to, deliveries); err != nil {
		return fmt.Errorf("advance endpoint %s to %d: %w", id, to.Position, unavailable(err))
	}
	return nil
}

func (s *Webhooks) advance(ctx context.Context, id string, to webhooks.Cursor, deliveries []webhooks.Delivery) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it is nothing
	moved, err := tx.ExecContext(ctx, "UPDATE webhook_endpoints SET round = ?, position = ? WHERE id = ?", to.Round, to.Position, id)
	if err != nil {
		return err
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 { // it was removed
		return err
	}
	if len(deliveries) > 0 {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO webhook_deliveries ("+deliveryColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET round = excluded.round, status = excluded.status, attempts = excluded.attempts, code = excluded.code,
				error = excluded.error, first = excluded.first, last = excluded.last, next = excluded.next WHERE excluded.round > round`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, d := range deliveries {
			_, err := insert.ExecContext(ctx, d.Endpoint, d.Position, d.Video, d.Type, d.Round, d.Status, d.Attempts, d.Code, d.Error,
				micros(d.First), micros(d.Last), micros(d.Next))
			if err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// Record implements webhooks.Store.
func (s *Webhooks) Record(ctx context.Context, d webhooks.Delivery) error {
	_, err := s.exec(ctx, `UPDATE webhook_deliveries SET round = ?, status = ?, attempts = ?, code = ?, error = ?, first = ?, last = ?, next = ?
		WHERE endpoint = ? AND position = ? AND round <= ?`,
		d.Round, d.Status, d.Attempts, d.Code, d.Error, micros(d.First), micros(d.Last), micros(d.Next), d.Endpoint, d.Position, d.Round)
	if err != nil {
		return fmt.Errorf("record delivery %s: %w", d.ID(), err)
	}
	return nil
}

// Pending implements webhooks.Store.
func (s *Webhooks) Pending(ctx context.Context, id string, limit int) ([]webhooks.Delivery, error) {
	return s.deliveries(ctx, "WHERE endpoint = ? AND status = ? ORDER BY position LIMIT ?", id, webhooks.Pending, limit)
}

// Delivery implements webhooks.Store.
func (s *Webhooks) Delivery(ctx context.Context, id string, p domain.Position) (webhooks.Delivery, error) {
	found, err := s.deliveries(ctx, "WHERE endpoint = ? AND position = ?", id, p)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("delivery of %d to endpoint %s: %w", p, id, domain.ErrNotFound)
	}
	if err != nil {
		return webhooks.Delivery{}, err
	}
	return found[0], nil
}

// Deliveries implements webhooks.Store.
func (s *Webhooks) Deliveries(
	ctx context.Context, id string, status webhooks.Status, before domain.Position, limit int,
) ([]webhooks.Delivery, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	if status == "" {
		return s.deliveries(ctx, "WHERE endpoint = ? AND position < ? ORDER BY position DESC LIMIT ?", id, before, limit)
	}
	return s.deliveries(ctx, "WHERE endpoint = ? AND status = ? AND position < ? ORDER BY position DESC LIMIT ?", id, status, before, limit)
}

// Prune implements webhooks.Store.
func (s *Webhooks) Prune(ctx context.Context, id string, before time.Time) error {
	_, err := s.exec(ctx, "DELETE FROM webhook_deliveries WHERE endpoint = ? AND status IN (?, ?) AND last < ?",
		id, webhooks.Delivered, webhooks.Failed, micros(before))
	if err != nil {
		return fmt.Errorf("forget deliveries to endpoint %s: %w", id, err)
	}
	return nil
}

const deliveryColumns = "endpoint, position, video, type, round, status, attempts, code, error, first, last, next"

func (s *Webhooks) deliveries(ctx context.Context, where string, args ...any) (found []webhooks.Delivery, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+deliveryColumns+" FROM webhook_deliveries "+where, args...) //nolint:gosec // where is ours
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", unavailable(err))
	}
	defer rows.Close()
	for rows.Next() {
		var d webhooks.Delivery
		var first, last, next int64
		err := rows.Scan(&d.Endpoint, &d.Position, &d.Video, &d.Type, &d.Round, &d.Status, &d.Attempts, &d.Code, &d.Error, &first, &last, &next)
		if err != nil {
			return nil, fmt.Errorf("read deliveries: %w", unavailable(err))
		}
		d.First, d.Last, d.Next = fromMicros(first), fromMicros(last), fromMicros(next)
		found = append(found, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read deliveries: %w", unavailable(err))
	}
	return found, nil
}

// micros is 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
