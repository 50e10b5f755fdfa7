package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Search implements projections.Catalog.
func (c *Catalog) Search(ctx context.Context, q projections.Query) (page projections.Page, err error) {
	s, err := q.Check()
	if err != nil {
		return projections.Page{}, err
	}
	err = c.gens.with(ctx, func(g *generation) error {
		// One transaction, so that the page and the counts are of one moment.
		tx, err := g.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return unavailable(err)
		}
		page, err = s.Page(ctx, videoIndex{tx})
		return errors.Join(err, rollback(tx))
	})
	if err != nil {
		return projections.Page{}, fmt.Errorf("search the catalog: %w", err)
	}
	return page, nil
}

// videoIndex answers a search from one moment of the catalog.
type videoIndex struct{ tx *sql.Tx }

// OnLevel implements projections.VideoIndex.
func (x videoIndex) OnLevel(
	ctx context.Context, s projections.Search, level projections.Level, before domain.Position, limit int,
) ([]projections.Video, error) {
	f := filter(s, match(s.Words, level))
	if before != 0 {
		f.and("texts.rowid < ?", int64(before))
	}
	return videos(ctx, x.tx, f.query("v.key, v.doc")+` ORDER BY texts.rowid DESC LIMIT ?`, append(f.args, limit))
}

// Sorted implements projections.VideoIndex.
func (x videoIndex) Sorted(ctx context.Context, s projections.Search, limit int) ([]projections.Video, error) {
	text := ""
	if s.HasText {
		text = matchAnywhere(s.Words)
	}
	f := filter(s, text)
	column, compare, direction := "", ">", "ASC"
	var after any
	if s.After == nil {
		s.After = &projections.Place{}
	}
	switch s.Sort {
	case projections.SortTitle, projections.SortTitleDesc:
		column, after = "v.title", s.After.Title
	case projections.SortShortest, projections.SortLongest:
		column, after = "v.duration", s.After.Duration
	case projections.SortOldest, projections.SortNewest, projections.SortRelevance:
	}
	switch s.Sort {
	case projections.SortTitleDesc, projections.SortLongest, projections.SortNewest:
		compare, direction = "<", "DESC"
	case projections.SortTitle, projections.SortShortest, projections.SortOldest, projections.SortRelevance:
	}
	order := ` ORDER BY v.seq ` + direction
	if column != "" {
		order = fmt.Sprintf(` ORDER BY %s %s, v.seq %s`, column, direction, direction)
	}
	if column == "" && s.Status == "" {
		f.narrow()
	}
	switch {
	case s.After.Created == 0:
	case column == "":
		f.and("v.seq "+compare+" ?", int64(s.After.Created))
	default:
		f.and(fmt.Sprintf("(%s, v.seq) %s (?, ?)", column, compare), after, int64(s.After.Created))
	}
	return videos(ctx, x.tx, f.query("v.key, v.doc")+order+` LIMIT ?`, append(f.args, limit))
}

func videos(ctx context.Context, q queryer, query string, args []any) ([]projections.Video, error) {
	var found []projections.Video
	err := each(ctx, q, query, args, func(_ string, doc []byte) error {
		var v projections.Video
		if err := json.Unmarshal(doc, &v); err != nil {
			return err
		}
		found = append(found, v)
		return nil
	})
	return found, err
}

// A restriction is the FROM and WHERE of a search. Everything that comes from outside is an argument, never SQL.
type restriction struct {
	from  string
	where []string
	args  []any
}

func (r *restriction) and(where string, args ...any) {
	r.where = append(r.where, where)
	r.args = append(r.args, args...)
}

func (r *restriction) query(columns string) string {
	return `SELECT ` + columns + ` FROM ` + r.from + ` WHERE ` + strings.Join(r.where, ` AND `)
}

// narrow does the same for a restriction that starts from all videos.
func (r *restriction) narrow() {
	if r.from == `rows v` {
		r.from = `rows v INDEXED BY rows_narrow`
	}
}

// filter starts from what is likely to leave the fewest videos: the text, a tag, a metadata entry. CROSS JOIN keeps
// SQLite to that order, and INDEXED BY from reading the page that a whole row takes where a few columns decide.
func filter(s projections.Search, text string) *restriction {
	r := &restriction{from: `rows v`}
	tags := s.Tags
	names := slices.Sorted(maps.Keys(s.Metadata))
	switch {
	case text != "":
		r.from = `texts CROSS JOIN rows v INDEXED BY rows_narrow ON v.seq = texts.rowid`
		r.and(`texts MATCH ?`, text)
	case len(tags) > 0:
		r.from = `tags t CROSS JOIN rows v INDEXED BY rows_narrow ON v.seq = t.seq`
		r.and(`t.tag = ?`, tags[0])
		tags = tags[1:]
	case len(names) > 0:
		r.from = `metadata m CROSS JOIN rows v INDEXED BY rows_narrow ON v.seq = m.seq`
		r.and(`m.name = ? AND m.value = ?`, names[0], s.Metadata[names[0]])
		names = names[1:]
	}
	r.and(`v.deleted = 0`)
	for _, t := range tags {
		r.and(`EXISTS (SELECT 1 FROM tags WHERE tag = ? AND seq = v.seq)`, t)
	}
	for _, n := range names {
		r.and(`EXISTS (SELECT 1 FROM metadata WHERE name = ? AND value = ? AND seq = v.seq)`, n, s.Metadata[n])
	}
	if s.Status != "" {
		r.and(`v.status = ?`, string(s.Status))
	}
	if s.Visibility != "" {
		r.and(`v.visibility = ?`, string(s.Visibility))
	}
	if !s.CreatedAfter.IsZero() {
		r.and(`v.created_at > ?`, s.CreatedAfter.UnixMicro())
	}
	if !s.CreatedBefore.IsZero() {
		r.and(`v.created_at < ?`, s.CreatedBefore.UnixMicro())
	}
	if s.MinDuration > 0 {
		r.and(`v.duration >= ?`, s.MinDuration)
	}
	if s.MaxDuration > 0 {
		r.and(`v.duration <= ?`, s.MaxDuration)
	}
	return r
}

// within returns the FTS5 expression for all words on a level. Words consist of letters and digits only, so that quotes
// are enough to keep them words.
func within(level projections.Level, words []string, prefix string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + onLevel(level, w) + `"` + prefix
	}
	return strings.Join(quoted, ` AND `)
}

func matchAnywhere(words []string) string { return within(projections.LevelDescription, words, "*") }

// match returns the expression for a level without those before it.
func match(words []string, level projections.Level) string {
	exact := within(projections.LevelTitle, words, "")
	switch level {
	case projections.LevelTitleExact:
		return exact
	case projections.LevelTitle:
		return `(` + within(level, words, "*") + `) NOT (` + exact + `)`
	case projections.LevelTags, projections.LevelMetadata, projections.LevelDescription, projections.Levels:
	}
	return `(` + within(level, words, "*") + `) NOT (` + within(level-1, words, "*") + `)`
}

// Facets implements projections.VideoIndex.
func (x videoIndex) Facets(ctx context.Context, s projections.Search) (map[string][]projections.FacetCount, error) {
	if len(s.Facets) == 0 {
		return nil, nil //nolint:nilnil // none asked for, none given
	}
	all := map[string][]projections.FacetCount{}
	for _, name := range s.Facets {
		all[name] = []projections.FacetCount{}
		if s.HasText && len(s.Words) == 0 {
			continue
		}
		text := ""
		if s.HasText {
			text = matchAnywhere(s.Words)
		}
		f := filter(s, text)
		f.narrow()
		query := `SELECT status, count(*) AS n FROM (` + f.query(`v.status AS status`) + `) GROUP BY 1`
		if name == projections.FacetTag {
			query = `SELECT f.tag, count(*) AS n FROM (` + f.query(`v.seq AS seq`) +
				`) AS r CROSS JOIN tags f ON f.seq = r.seq GROUP BY 1`
		}
		rows, err := x.tx.QueryContext(ctx, query+` ORDER BY n DESC, 1 LIMIT ?`,
			append(f.args, projections.MaxFacetValues)...)
		if err != nil {
			return nil, unavailable(err)
		}
		for rows.Next() {
			var c projections.FacetCount
			if err := rows.Scan(&c.Value, &c.Count); err != nil {
				return nil, closing(rows, err)
			}
			all[name] = append(all[name], c)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, unavailable(err)
		}
	}
	return all, nil
}
