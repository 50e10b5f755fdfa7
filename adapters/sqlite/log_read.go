package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// The columns that a row of events is made of. A body is taken as text, since the driver copies a text once, and what is decoded
// may share it.
const commitColumns = "SELECT position, events, stream, version, time, meta, CAST(body AS TEXT) FROM commits "

func newLogReader(ctx context.Context, db *sql.DB) (*LogReader, error) {
	r := &LogReader{db: db}
	for stmt, query := range map[**sql.Stmt]string{
		&r.head: "SELECT position + events - 1 FROM commits ORDER BY position DESC LIMIT 1",
		// The commit that holds the first event asked for begins at or before it.
		&r.after: commitColumns + `WHERE position >= coalesce((SELECT max(position) FROM commits WHERE position <= ?1 + 1), 1)
			ORDER BY position LIMIT ?2`,
		&r.stream: commitColumns + `WHERE stream = ?1 AND version >=
			coalesce((SELECT max(version) FROM commits WHERE stream = ?1 AND version <= ?2 + 1), 1) ORDER BY version`,
		&r.commit: commitColumns + "WHERE id = ?1",
	} {
		var err error
		if *stmt, err = db.PrepareContext(ctx, query); err != nil {
			return nil, errors.Join(err, r.closeStatements())
		}
	}
	return r, nil
}

// Close closes the file.
func (r *LogReader) Close() error {
	return errors.Join(r.closeStatements(), r.db.Close())
}

func (r *LogReader) closeStatements() error {
	var errs []error
	for _, s := range []*sql.Stmt{r.head, r.after, r.stream, r.commit} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Head implements projections.Log.
func (r *LogReader) Head(ctx context.Context) (domain.Position, error) {
	var head domain.Position
	err := r.head.QueryRowContext(ctx).Scan(&head)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the log's head: %w", unavailable(err))
	}
	return head, nil
}

// ReadAfter implements projections.Log.
func (r *LogReader) ReadAfter(ctx context.Context, after domain.Position, limit int) ([]domain.Recorded, error) {
	if limit < 1 {
		return nil, nil
	}
	// Every commit has an event, so limit commits have enough of them.
	events, err := r.read(ctx, limit, func(e domain.Recorded) bool { return e.Position > after }, r.after, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", after, err)
	}
	return events, nil
}

// ReadStream implements commands.EventLog.
func (r *LogReader) ReadStream(ctx context.Context, stream string, after int) ([]domain.Recorded, error) {
	events, err := r.read(ctx, -1, func(e domain.Recorded) bool { return e.Version > after }, r.stream, stream, after)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return events, nil
}

// ReadCommit implements commands.EventLog.
func (r *LogReader) ReadCommit(ctx context.Context, id string) ([]domain.Recorded, error) {
	events, err := r.read(ctx, -1, func(domain.Recorded) bool { return true }, r.commit, id)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", id, err)
	}
	return events, nil
}

// Streams returns the ids of all streams, sorted.
func (r *LogReader) Streams(ctx context.Context) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT DISTINCT stream FROM commits ORDER BY stream")
	if err != nil {
		return nil, fmt.Errorf("list the streams: %w", unavailable(err))
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list the streams: %w", unavailable(err))
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the streams: %w", unavailable(err))
	}
	return ids, nil
}

// read returns the events of the commits that a statement selects, those that keep allows, up to limit if that is not
// negative.
func (r *LogReader) read(ctx context.Context, limit int, keep func(domain.Recorded) bool, stmt *sql.Stmt, args ...any) ([]domain.Recorded, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var out []domain.Recorded
	for rows.Next() {
		var row commitRow
		if err := rows.Scan(&row.position, &row.events, &row.stream, &row.version, &row.time, &row.meta, &row.body); err != nil {
			return nil, unavailable(err)
		}
		if out, err = row.decode(out, keep); err != nil {
			return nil, err
		}
		if limit >= 0 && len(out) >= limit {
			return out[:limit], nil
		}
	}
	return out, unavailable(rows.Err())
}

// commitRow is a row of the table commits. meta belongs to the driver until the next row.
type commitRow struct {
	position domain.Position
	events   int
	stream   string
	version  int
	time     int64
	meta     sql.RawBytes
	body     string
}

// storedEvent is an element of a body.
type storedEvent struct {
	Type string     `json:"type"`
	Data storedData `json:"data"`
}

// storedData is JSON as it stands.
type storedData string

// UnmarshalJSON implements json.Unmarshaler.
func (d *storedData) UnmarshalJSON(b []byte) error {
	*d = storedData(b)
	return nil
}

// decode adds the events of the row that keep allows to out; only those are decoded in full.
func (r commitRow) decode(out []domain.Recorded, keep func(domain.Recorded) bool) ([]domain.Recorded, error) {
	stored, err := decodeBody(r.body, r.events)
	if err != nil {
		return nil, fmt.Errorf("decode the commit at %d: %w", r.position, err)
	}
	recorded := domain.Recorded{Stream: r.stream, Time: time.UnixMicro(r.time).UTC()}
	if recorded.Meta, err = domain.DecodeMeta(r.meta); err != nil {
		return nil, fmt.Errorf("decode the commit at %d: %w", r.position, err)
	}
	for i, s := range stored {
		recorded.Position = r.position + domain.Position(i)
		recorded.Version = r.version + i
		if !keep(recorded) {
			continue
		}
		if recorded.Event, err = domain.DecodeEvent(s.Type, s.Data); err != nil {
			return nil, fmt.Errorf("decode the event at %d: %w", recorded.Position, err)
		}
		out = append(out, recorded)
	}
	return out, nil
}

// decodeBody takes apart what encodeBody put together: it cuts the data out where encodeBody put it, as parsing JSON is
// most of the time that reading takes, and the event's own decoding parses the data anyway.
func decodeBody(body string, events int) ([]storedEvent, error) {
	if stored, ok := cutBody(body, events); ok {
		return stored, nil
	}
	var stored []storedEvent
	err := json.Unmarshal([]byte(body), &stored)
	return stored, err
}

func cutBody(body string, events int) (stored []storedEvent, ok bool) {
	stored = make([]storedEvent, 0, events)
	for before := `[{"type":"`; ; before = `},{"type":"` {
		rest, ok := strings.CutPrefix(body, before)
		if !ok {
			return stored, body == `}]` && len(stored) == events
		}
		eventType, rest, ok := strings.Cut(rest, `","data":`)
		if !ok {
			return nil, false
		}
		end := len(rest) - len(`}]`) // the last one ends where the body does
		if len(stored) < events-1 {
			end = endOfObject(rest)
		}
		if end < 0 {
			return nil, false
		}
		stored = append(stored, storedEvent{Type: eventType, Data: storedData(rest[:end])})
		body = rest[end:]
	}
}

// endOfObject returns how long the JSON object is that b begins with. Where b is no JSON it may be wrong by anything.
func endOfObject(b string) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += endOfString(b[i+1:])
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// endOfString returns where the JSON string ends that b begins in: after its closing quote.
func endOfString(b string) int {
	for i := 0; i < len(b); {
		quote := strings.IndexByte(b[i:], '"')
		if quote < 0 {
			break
		}
		escape := strings.IndexByte(b[i:i+quote], '\\')
		if escape < 0 {
			return i + quote + 1
		}
		i += escape + 2
	}
	return len(b)
}
