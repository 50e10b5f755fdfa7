package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// VerifyChain follows the log from its first event, as domain.ChainCheck does, and lets SQLite check its own pages. It
// returns what it found, in words for the operator, at most 100 findings; none means that the log is as it was written.
// It reads a snapshot, so a server may go on writing.
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
	var check domain.ChainCheck
	for rows.Next() && !check.Full() {
		var row commitRow
		var id string
		var hash sql.RawBytes
		err := rows.Scan(&row.position, &row.events, &row.stream, &row.version, &row.time, &row.meta, &row.body, &id, &hash)
		if err != nil {
			return nil, fmt.Errorf("verify the log: %w", unavailable(err))
		}
		row.follow(&check, id, hash)
	}
	findings = append(findings, check.Findings()...)
	if err := rows.Err(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		findings = append(findings, "the file cannot be read to its end: "+err.Error())
	}
	return findings[:min(len(findings), domain.MaxFindings)], nil
}

// integrity asks SQLite about its own structures: pages, indexes, constraints.
func (r *LogReader) integrity(ctx context.Context) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", domain.MaxFindings))
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

// follow hands one commit to the check.
func (r commitRow) follow(check *domain.ChainCheck, id string, hash []byte) {
	var broken []string
	var stored []storedEvent
	if err := json.Unmarshal([]byte(r.body), &stored); err != nil {
		broken = append(broken, "the body is not JSON: "+err.Error())
	}
	commit := domain.Commit{ID: id, Stream: r.stream, Expected: r.version - 1, Time: time.UnixMicro(r.time)}
	if err := json.Unmarshal(r.meta, &commit.Meta); err != nil {
		broken = append(broken, "the metadata is not JSON: "+err.Error())
	}
	events := make([]domain.EncodedEvent, len(stored))
	for i, s := range stored {
		events[i] = domain.EncodedEvent{Type: s.Type, Data: []byte(s.Data)}
	}
	check.Follow(domain.StoredCommit{First: r.position, Commit: commit, Events: events, Hash: hash},
		r.position+domain.Position(r.events)-1, r.version+r.events-1, broken...)
}
