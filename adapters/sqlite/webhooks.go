package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// Webhooks keeps endpoints and deliveries in a database of one process: the leases are that process's own.
type Webhooks struct {
	db *sql.DB

	mu     sync.Mutex
	leased map[string]bool
}

var _ webhooks.Store = (*Webhooks)(nil)

const webhooksSchema = `
CREATE TABLE IF NOT EXISTS webhook_endpoints (
	id TEXT PRIMARY KEY,
	version INTEGER NOT NULL,
	endpoint TEXT NOT NULL, -- JSON
	round INTEGER NOT NULL DEFAULT 0, -- with position, the cursor
	position INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS webhook_deliveries (
	endpoint TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
	position INTEGER NOT NULL,
	video TEXT NOT NULL,
	type TEXT NOT NULL,
	round INTEGER NOT NULL,
	status TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	code INTEGER NOT NULL,
	error TEXT NOT NULL,
	first INTEGER NOT NULL, -- microseconds since 1970, as those below; 0 for none
	last INTEGER NOT NULL,
	next INTEGER NOT NULL,
	PRIMARY KEY (endpoint, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_status ON webhook_deliveries (endpoint, status, position);
`

// OpenWebhooks makes what is missing in db, which it does not close.
func OpenWebhooks(ctx context.Context, db *sql.DB) (*Webhooks, error) {
	if _, err := db.ExecContext(ctx, webhooksSchema); err != nil {
		return nil, fmt.Errorf("open webhooks: %w", unavailable(err))
	}
	return &Webhooks{db: db, leased: map[string]bool{}}, nil
}

// storedEndpoint is how an endpoint stands in its row.
type storedEndpoint struct {
	URL         string         `json:"url"`
	Types       []string       `json:"types,omitempty"`
	Description string         `json:"description,omitempty"`
	Enabled     bool           `json:"enabled"`
	Reason      string         `json:"reason,omitempty"`
	Secrets     []storedSecret `json:"secrets"`
	Created     time.Time      `json:"created"`
	Changed     time.Time      `json:"changed"`
	Start       storedCursor   `json:"start"`
}

type storedSecret struct {
	Key   string    `json:"key"`
	Until time.Time `json:"until,omitzero"`
}

type storedCursor struct {
	Round    int             `json:"round"`
	Position domain.Position `json:"position"`
}

func encodeEndpoint(e webhooks.Endpoint) ([]byte, error) {
	s := storedEndpoint{
		URL: e.URL, Types: e.Types, Description: e.Description, Enabled: e.Enabled, Reason: e.Reason,
		Created: e.Created, Changed: e.Changed, Start: storedCursor(e.Start),
	}
	for _, k := range e.Secrets {
		s.Secrets = append(s.Secrets, storedSecret(k))
	}
	return json.Marshal(s)
}

func decodeEndpoint(id string, version int, text []byte) (webhooks.Endpoint, error) {
	var s storedEndpoint
	if err := json.Unmarshal(text, &s); err != nil {
		return webhooks.Endpoint{}, fmt.Errorf("read endpoint %s: %w", id, err)
	}
	e := webhooks.Endpoint{
		ID: id, URL: s.URL, Types: s.Types, Description: s.Description, Enabled: s.Enabled, Reason: s.Reason,
		Created: s.Created, Changed: s.Changed, Version: version, Start: webhooks.Cursor(s.Start),
	}
	for _, k := range s.Secrets {
		e.Secrets = append(e.Secrets, webhooks.Secret(k))
	}
	return e, nil
}

// Create implements webhooks.Store.
func (s *Webhooks) Create(ctx context.Context, e webhooks.Endpoint) error {
	text, err := encodeEndpoint(e)
	if err == nil {
		_, err = s.db.ExecContext(ctx, "INSERT INTO webhook_endpoints (id, version, endpoint) VALUES (?, ?, ?)", e.ID, e.Version, string(text))
	}
	if err != nil {
		return fmt.Errorf("create endpoint %s: %w", e.ID, unavailable(err))
	}
	return nil
}

// Endpoint implements webhooks.Store.
func (s *Webhooks) Endpoint(ctx context.Context, id string) (webhooks.Endpoint, error) {
	var version int
	var text []byte
	err := s.db.QueryRowContext(ctx, "SELECT version, endpoint FROM webhook_endpoints WHERE id = ?", id).Scan(&version, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return webhooks.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, domain.ErrNotFound)
	}
	if err != nil {
		return webhooks.Endpoint{}, fmt.Errorf("read endpoint %s: %w", id, unavailable(err))
	}
	return decodeEndpoint(id, version, text)
}

// Endpoints implements webhooks.Store.
func (s *Webhooks) Endpoints(ctx context.Context) (all []webhooks.Endpoint, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, version, endpoint FROM webhook_endpoints ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", unavailable(err))
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var version int
		var text []byte
		if err := rows.Scan(&id, &version, &text); err != nil {
			return nil, fmt.Errorf("read endpoints: %w", unavailable(err))
		}
		e, err := decodeEndpoint(id, version, text)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read endpoints: %w", unavailable(err))
	}
	return all, nil
}

// Update implements webhooks.Store.
func (s *Webhooks) Update(ctx context.Context, e webhooks.Endpoint) error {
	text, err := encodeEndpoint(e)
	if err != nil {
		return fmt.Errorf("change endpoint %s: %w", e.ID, err)
	}
	switch n, err := s.exec(ctx, "UPDATE webhook_endpoints SET version = ?, endpoint = ? WHERE id = ? AND version = ?",
		e.Version, string(text), e.ID, e.Version-1); {
	case err != nil:
		return fmt.Errorf("change endpoint %s: %w", e.ID, err)
	case n > 0:
		return nil
	}
	if _, err := s.Endpoint(ctx, e.ID); err != nil {
		return err
	}
	return fmt.Errorf("change endpoint %s: %w: somebody else has", e.ID, domain.ErrConflict)
}

// Remove implements webhooks.Store.
func (s *Webhooks) Remove(ctx context.Context, id string) error {
	n, err := s.exec(ctx, "DELETE FROM webhook_endpoints WHERE id = ?", id)
	if err == nil && n == 0 {
		err = domain.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("remove endpoint %s: %w", id, err)
	}
	return nil
}

func (s *Webhooks) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, unavailable(err)
	}
	return result.RowsAffected()
}

// Lease implements webhooks.Store.
func (s *Webhooks) Lease(ctx context.Context, id string) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leased[id] {
		return nil, nil, fmt.Errorf("the lease of endpoint %s: %w", id, domain.ErrConflict)
	}
	s.leased[id] = true
	held, cancel := context.WithCancel(ctx)
	return held, sync.OnceFunc(func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.leased, id)
	}), nil
}
