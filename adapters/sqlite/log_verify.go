package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// maxFindings is where VerifyChain gives up: one cause can break everything after it.
const maxFindings = 100

// VerifyChain folds the log from its first event: positions without a gap, versions of every stream from 1 on, and
// every commit's hash over the one before it. It also lets SQLite check its own pages. It returns what it found, in
// words for the operator, at most 100 findings; none means that the log is as it was written. It reads a snapshot, so
// a server may go on writing.
func (r *LogReader) VerifyChain(ctx context.Context) ([]string, error) {
	findings, err := r.integrity(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx,
		"SELECT position, events, stream, version, time, meta, body, id, hash FROM commits ORDER BY position")
	if err != nil {
		return nil, fmt.Errorf("verify the log: %w", unavailable(err))
	}
	defer rows.Close()
	chain := chain{next: 1, versions: map[string]int{}}
	for rows.Next() && len(findings) < maxFindings {
		var row commitRow
		var id string
		var hash sql.RawBytes
		err := rows.Scan(&row.position, &row.events, &row.stream, &row.version, &row.time, &row.meta, &row.body, &id, &hash)
		if err != nil {
			return nil, fmt.Errorf("verify the log: %w", unavailable(err))
		}
		for _, f := range chain.follow(row, id, hash) {
			findings = append(findings, fmt.Sprintf("commit at %d: %s", row.position, f))
		}
	}
	if err := rows.Err(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		findings = append(findings, "the file cannot be read to its end: "+err.Error())
	}
	return findings[:min(len(findings), maxFindings)], nil
}

// integrity asks SQLite about its own structures: pages, indexes, constraints.
func (r *LogReader) integrity(ctx context.Context) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFindings))
	if err != nil {
		return nil, fmt.Errorf("verify the log: %w", unavailable(err))
	}
	defer rows.Close()
	var findings []string
	for rows.Next() {
		var f string
		if err := rows.Scan(&f); err != nil {
			return nil, fmt.Errorf("verify the log: %w", unavailable(err))
		}
		if f != "ok" {
			findings = append(findings, "file: "+f)
		}
	}
	if err := rows.Err(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		findings = append(findings, "file: "+err.Error())
	}
	return findings, nil
}

// chain is where the fold over the log stands.
type chain struct {
	next     domain.Position
	hash     []byte
	versions map[string]int
}

// follow checks one commit and goes on from what it says, so that one broken commit is one finding and not as many as
// there are commits after it.
func (c *chain) follow(r commitRow, id string, hash []byte) (findings []string) {
	if r.position != c.next {
		findings = append(findings, fmt.Sprintf("expected position %d", c.next))
	}
	if want := c.versions[r.stream] + 1; r.version != want {
		findings = append(findings, fmt.Sprintf("version %d of stream %s, expected %d", r.version, r.stream, want))
	}
	var stored []storedEvent
	if err := json.Unmarshal(r.body, &stored); err != nil {
		findings = append(findings, "the body is not JSON: "+err.Error())
	}
	if len(stored) != r.events {
		findings = append(findings, fmt.Sprintf("%d events, the row says %d", len(stored), r.events))
	}
	if _, err := r.decode(func(domain.Recorded) bool { return true }); err != nil && len(findings) == 0 {
		findings = append(findings, err.Error())
	}
	events := make([]domain.EncodedEvent, len(stored))
	for i, s := range stored {
		events[i] = domain.EncodedEvent{Type: s.Type, Data: s.Data}
	}
	var meta domain.Meta
	if err := json.Unmarshal(r.meta, &meta); err != nil {
		findings = append(findings, "the metadata is not JSON: "+err.Error())
	}
	commit := domain.Commit{Meta: meta, ID: id, Stream: r.stream, Expected: r.version - 1, Time: time.UnixMicro(r.time)}
	if want := domain.ChainHash(c.hash, r.position, commit, events); string(want) != string(hash) {
		findings = append(findings, "the hash does not fit to the content and the commit before")
	}
	c.next = r.position + domain.Position(r.events)
	c.versions[r.stream] = r.version + r.events - 1
	c.hash = append([]byte(nil), hash...)
	return findings
}
