package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Catalog keeps and searches the catalog. Beside each row's document stand the columns and tables that queries use.
type Catalog struct {
	*Rows[projections.Video]
}

var _ projections.Catalog = (*Catalog)(nil)

// seq is the position of the video's first event: the order of creation. The index of the texts has it as its row
// number, so that the newest matches come first without sorting. It holds words that are folded and cut already, each
// once for every level that it counts for (see indexed); its ASCII tokenizer only splits at the spaces between them. It
// keeps no text of its own (content is empty) and does not know where in a text a word stands.
const catalogSchema = `
CREATE TABLE rows (
	seq        INTEGER PRIMARY KEY,
	key        TEXT NOT NULL UNIQUE,
	deleted    INTEGER NOT NULL,
	status     TEXT NOT NULL,
	visibility TEXT NOT NULL,
	created_at INTEGER NOT NULL, -- microseconds since 1970
	duration   REAL NOT NULL,
	title      TEXT NOT NULL,    -- folded, to sort by
	said       INTEGER NOT NULL, -- sum of what the owner says: the text index is written again only when it changes
	doc        BLOB NOT NULL
) STRICT;
CREATE INDEX rows_status   ON rows (status, seq);
CREATE INDEX rows_title    ON rows (title, seq);
CREATE INDEX rows_duration ON rows (duration, seq);
CREATE INDEX rows_narrow   ON rows (seq, deleted, status, visibility, created_at, duration); -- filters, without documents
CREATE TABLE tags (tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX tags_seq ON tags (seq);
CREATE TABLE metadata (
	name TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (name, value, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX metadata_seq ON metadata (seq);
CREATE VIRTUAL TABLE texts USING fts5 (
	words, content='', contentless_delete=1, tokenize='ascii', detail=none, prefix='2 3 4'
);
`

// OpenCatalog opens or creates the catalog in dir.
func OpenCatalog(ctx context.Context, dir string) (*Catalog, error) {
	m := projections.CatalogModel()
	gens, err := openGenerations(ctx, dir, m.Name, m.Version, catalogSchema, decodable[projections.Video])
	if err != nil {
		return nil, err
	}
	return &Catalog{&Rows[projections.Video]{gens: gens, model: m, save: saveVideos, build: buildBatches{foldBatch, rebuildBatch}}}, nil
}

// Video implements projections.Catalog.
func (c *Catalog) Video(ctx context.Context, id domain.VideoID) (projections.Video, error) {
	return projections.LiveVideo(ctx, c, id)
}

// videoWriter holds the statements of one batch.
type videoWriter struct {
	find, update, updateDoc, insert, remove *sql.Stmt
	addTag, addMetadata, addText            *sql.Stmt
	removeTags, removeMetadata, removeText  *sql.Stmt

	doc bytes.Buffer // of the row in hand
}

func newVideoWriter(ctx context.Context, tx *sql.Tx) (w *videoWriter, err error) {
	w = &videoWriter{}
	for _, s := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&w.find, `SELECT said, status, visibility, duration, deleted FROM rows WHERE seq = ?`},
		{&w.updateDoc, `UPDATE rows SET doc = ? WHERE seq = ?`},
		{&w.update, `UPDATE rows SET status = ?, visibility = ?, duration = ?, doc = ? WHERE seq = ?`},
		{&w.insert, `INSERT INTO rows (seq, key, deleted, status, visibility, created_at, duration, title, said, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&w.remove, `DELETE FROM rows WHERE seq = ?`},
		{&w.addTag, `INSERT OR IGNORE INTO tags (tag, seq) VALUES (?, ?)`},
		{&w.addMetadata, `INSERT INTO metadata (name, value, seq) VALUES (?, ?, ?)`},
		{&w.addText, `INSERT INTO texts (rowid, words) VALUES (?, ?)`},
		{&w.removeTags, `DELETE FROM tags WHERE seq = ?`},
		{&w.removeMetadata, `DELETE FROM metadata WHERE seq = ?`},
		{&w.removeText, `DELETE FROM texts WHERE rowid = ?`},
	} {
		if *s.stmt, err = tx.PrepareContext(ctx, s.query); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

func (w *videoWriter) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{
		w.find, w.update, w.updateDoc, w.insert, w.remove, w.addTag, w.addMetadata, w.addText,
		w.removeTags, w.removeMetadata, w.removeText,
	} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

func saveVideos(
	ctx context.Context, tx *sql.Tx, rows map[string]projections.Video, drop []string, giveWay func(context.Context),
) error {
	w, err := newVideoWriter(ctx, tx)
	if err != nil {
		return err
	}
	for _, prefix := range drop {
		err = errors.Join(err, w.drop(ctx, tx, prefix))
	}
	// In the order of creation, so that indexes grow at their ends.
	for _, v := range slices.SortedFunc(maps.Values(rows), func(a, b projections.Video) int {
		return int(a.Created - b.Created)
	}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if err = w.save(uninterrupted(ctx), v); err != nil {
			err = fmt.Errorf("video %s: %w", v.ID, err)
		}
		giveWay(ctx)
	}
	return errors.Join(err, w.Close())
}

func (w *videoWriter) drop(ctx context.Context, tx *sql.Tx, prefix string) error {
	where, args := under(prefix)
	found, err := tx.QueryContext(ctx, `SELECT seq FROM rows WHERE `+where, args...) //nolint:gosec // where is made of constants
	if err != nil {
		return err
	}
	var seqs []int64
	for found.Next() {
		var seq int64
		if err := found.Scan(&seq); err != nil {
			return closing(found, err)
		}
		seqs = append(seqs, seq)
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		return err
	}
	for _, seq := range seqs {
		if err := w.removeAll(ctx, seq); err != nil {
			return err
		}
	}
	return nil
}

func (w *videoWriter) removeAll(ctx context.Context, seq int64) error {
	for _, s := range []*sql.Stmt{w.remove, w.removeTags, w.removeMetadata, w.removeText} {
		if _, err := s.ExecContext(ctx, seq); err != nil {
			return err
		}
	}
	return nil
}

// save writes of a row what differs from the stored one.
func (w *videoWriter) save(ctx context.Context, v projections.Video) error {
	w.doc.Reset()
	err := json.NewEncoder(&w.doc).Encode(v)
	if err != nil {
		return err
	}
	doc := bytes.TrimSuffix(w.doc.Bytes(), []byte("\n"))
	seq, said := int64(v.Created), saidSum(v)
	var old struct {
		said               int64
		status, visibility string
		duration           float64
		deleted            bool
	}
	err = w.find.QueryRowContext(ctx, seq).Scan(&old.said, &old.status, &old.visibility, &old.duration, &old.deleted)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return w.add(ctx, v, said, doc)
	case err != nil:
		return err
	case old.said != said || old.deleted != v.Deleted:
		if err := w.removeAll(ctx, seq); err != nil {
			return err
		}
		return w.add(ctx, v, said, doc)
	case old.status != string(v.Status) || old.visibility != string(v.Details.Visibility) || old.duration != v.Duration:
		_, err = w.update.ExecContext(ctx, string(v.Status), string(v.Details.Visibility), v.Duration, doc, seq)
		return err
	}
	_, err = w.updateDoc.ExecContext(ctx, doc, seq)
	return err
}

func (w *videoWriter) add(ctx context.Context, v projections.Video, said int64, doc []byte) error {
	seq := int64(v.Created)
	_, err := w.insert.ExecContext(ctx, seq, string(v.ID), v.Deleted, string(v.Status), string(v.Details.Visibility),
		v.CreatedAt.UnixMicro(), v.Duration, v.TitleKey(), said, doc)
	if err != nil || v.Deleted {
		return err
	}
	for _, t := range v.Details.Tags {
		if _, err := w.addTag.ExecContext(ctx, t, seq); err != nil {
			return err
		}
	}
	for name, value := range v.Details.Metadata {
		if _, err := w.addMetadata.ExecContext(ctx, name, value, seq); err != nil {
			return err
		}
	}
	_, err = w.addText.ExecContext(ctx, seq, indexed(v.SearchText()))
	return err
}

// indexed returns the words of a video as the index has them: each with its level in front, from the first level that
// it counts for to the last. So every level has lists of its own, and a word that thousands of descriptions have costs
// nothing where it is looked for in titles.
func indexed(t projections.SearchText) string {
	var b strings.Builder
	var words []string
	for level, more := range [projections.Levels][]string{
		projections.LevelTitle: t.Title, projections.LevelTags: t.Tags,
		projections.LevelMetadata: t.Metadata, projections.LevelDescription: t.Description,
	} {
		words = append(words, more...)
		slices.Sort(words)
		words = slices.Compact(words)
		for _, w := range words {
			b.WriteString(onLevel(projections.Level(level), w))
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// onLevel returns a word as the index has it on a level.
func onLevel(l projections.Level, word string) string { return strconv.Itoa(int(l)) + word }

// saidSum sums up what tags, metadata and texts are made of.
func saidSum(v projections.Video) int64 {
	h := sha256.New()
	write := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s))) //nolint:gosec // texts are far shorter
		h.Write(n[:])
		h.Write([]byte(s))
	}
	write(v.Details.Title)
	write(v.Details.Description)
	for _, t := range v.Details.Tags {
		write(t)
	}
	write("\x00metadata") // no tag has this control character
	for _, k := range slices.Sorted(maps.Keys(v.Details.Metadata)) {
		write(k)
		write(v.Details.Metadata[k])
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil))) //nolint:gosec // the bits matter, not the sign
}
