package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Places keep how far consumer groups of one process have come, in any database that this program keeps.
type Places struct {
	db *sql.DB

	mu   sync.Mutex
	held map[[2]string]bool // group and video
}

var _ messaging.Places = (*Places)(nil)

const placesSchema = `
CREATE TABLE IF NOT EXISTS places (
	consumer TEXT NOT NULL,
	video    TEXT NOT NULL,
	version  INTEGER NOT NULL,
	letter   TEXT NOT NULL,
	reason   TEXT NOT NULL,
	PRIMARY KEY (consumer, video)
) STRICT, WITHOUT ROWID;
`

// NewPlaces makes what is missing in a database that OpenDB or OpenOperations opened.
func NewPlaces(ctx context.Context, db *sql.DB) (*Places, error) {
	if _, err := db.ExecContext(ctx, placesSchema); err != nil {
		return nil, fmt.Errorf("places: %w", unavailable(err))
	}
	return &Places{db: db, held: map[[2]string]bool{}}, nil
}

// Hold implements messaging.Places, for one process: its end ends every hold.
func (p *Places) Hold(ctx context.Context, group, video string) (context.Context, func(), error) {
	key := [2]string{group, video}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key] {
		return nil, nil, fmt.Errorf("hold video %s for %s: %w", video, group, domain.ErrConflict)
	}
	p.held[key] = true
	held, cancel := context.WithCancel(ctx)
	return held, sync.OnceFunc(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.held, key)
	}), nil
}

// Place implements messaging.Places.
func (p *Places) Place(ctx context.Context, group, video string) (at messaging.Place, err error) {
	err = p.db.QueryRowContext(ctx, `SELECT version, letter, reason FROM places WHERE consumer = ? AND video = ?`, group, video).
		Scan(&at.Version, &at.Letter, &at.Reason)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return at, fmt.Errorf("place of %s: %w", group, unavailable(err))
	}
	return at, nil
}

// Move implements messaging.Places.
func (p *Places) Move(ctx context.Context, group, video string, from, to messaging.Place) error {
	change := `UPDATE places SET version = ?1, letter = ?2, reason = ?3 WHERE consumer = ?4 AND video = ?5 AND version = ?6 AND letter = ?7`
	if from.Version == 0 && from.Letter == "" {
		change = `INSERT INTO places (version, letter, reason, consumer, video) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT DO UPDATE SET version = ?1, letter = ?2, reason = ?3 WHERE version = ?6 AND letter = ?7`
	}
	r, err := p.db.ExecContext(ctx, change, to.Version, to.Letter, to.Reason, group, video, from.Version, from.Letter)
	if err != nil {
		return fmt.Errorf("move %s: %w", group, unavailable(err))
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: %s is not at version %d of video %s", domain.ErrConflict, group, from.Version, video))
	}
	return nil
}
