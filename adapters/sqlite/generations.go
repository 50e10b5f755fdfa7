package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// A generation is one build of a read model, in a file of its own: views-<projection>-<n>.db. A small file beside
// them, views-<projection>.current, names the one in use and is only ever replaced whole, so that readers see the
// old build or the new one and nothing between. views-<projection>.previous names the one before, which is kept for a
// way back. Numbers are not used twice.
type generation struct {
	number  int
	version int // of the model that gave the rows
	path    string
	reads   *sql.DB
	writes  *sql.DB               // one connection, with a larger cache: there is one writer, and a rebuild is all writing
	giveWay func(context.Context) // called between rows: a batch is long, and whoever has a query comes first

	mu      sync.Mutex
	users   int
	retired bool // close with the last user
	saving  sync.Mutex
}

type generations struct {
	dir, name string
	version   int
	schema    string
	// readable says whether rows that another version of the model gave can be served; the tables are known to be the same.
	readable func(ctx context.Context, q queryer) error

	mu      sync.Mutex
	current *generation
	closed  bool
}

const generationMeta = `
CREATE TABLE meta (version INTEGER NOT NULL, checkpoint INTEGER NOT NULL) STRICT;
` + buildTable

// buildTable says of a build what it was made of: the one that gave the text vouches for all up to the position.
const buildTable = `
CREATE TABLE IF NOT EXISTS build (position INTEGER NOT NULL, vouched TEXT NOT NULL) STRICT;
`

// openGenerations opens the current generation. One of another version of the model is served as it is, until it is
// rebuilt; where it cannot be, or there is none, an empty one becomes current: CatchUp fills it.
func openGenerations(
	ctx context.Context, dir, name string, version int, schema string, readable func(context.Context, queryer) error,
) (*generations, error) {
	gs := &generations{dir: dir, name: name, version: version, schema: schema, readable: readable}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("read model %s: %w", name, err)
	}
	n, err := gs.pointer()
	if err == nil {
		gs.current, err = gs.open(ctx, n)
	}
	if err == nil {
		return gs, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOtherVersion) {
		return nil, err
	}
	g, err := gs.create(ctx)
	if err != nil {
		return nil, err
	}
	if err := gs.point(g.number); err != nil {
		return nil, closing(g, err)
	}
	gs.current = g
	if n > 0 {
		gs.remove(n)
	}
	return gs, nil
}

var errOtherVersion = errors.New("the file belongs to another version of the model, and cannot be served by this one")

// The small files.
// create makes an empty generation under the next free number, or leaves nothing.
func (gs *generations) create(ctx context.Context) (_ *generation, err error) {
	n, err := gs.pointer()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for {
		n++
		f, err := os.OpenFile(gs.path(n), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("new generation of %s: %w", gs.name, err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("new generation of %s: %w", gs.name, err)
		}
		break
	}
	defer func() {
		if err != nil {
			gs.remove(n)
		}
	}()
	g, err := gs.connect(ctx, n)
	if err != nil {
		return nil, err
	}
	if _, err := g.writes.ExecContext(ctx, generationMeta+gs.schema); err != nil {
		return nil, closing(g, fmt.Errorf("new generation of %s: %w", gs.name, unavailable(err)))
	}
	if _, err := g.writes.ExecContext(ctx, `INSERT INTO meta VALUES (?, 0)`, gs.version); err != nil {
		return nil, closing(g, fmt.Errorf("new generation of %s: %w", gs.name, unavailable(err)))
	}
	g.version = gs.version
	return g, nil
}

// open opens an existing generation; errOtherVersion when this program cannot serve its rows.
func (gs *generations) open(ctx context.Context, n int) (*generation, error) {
	if _, err := os.Stat(gs.path(n)); err != nil {
		return nil, fmt.Errorf("read model %s: %w", gs.name, err)
	}
	g, err := gs.connect(ctx, n)
	if err != nil {
		return nil, err
	}
	err = g.reads.QueryRowContext(ctx, `SELECT version FROM meta`).Scan(&g.version)
	if err != nil && ctx.Err() == nil && !errors.Is(unavailable(err), domain.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", errOtherVersion, err) // cut off while it was made, or damaged: it is disposable
	}
	if err == nil && g.version != gs.version {
		if err = gs.sameTables(ctx, g); err == nil {
			err = gs.readable(ctx, g.reads)
		}
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errOtherVersion, err)
		}
	}
	if err != nil {
		return nil, closing(g, fmt.Errorf("read model %s: %w", gs.name, err))
	}
	return g, nil
}

// sameTables is an error unless a generation has the tables and indexes that this program asks.
func (gs *generations) sameTables(ctx context.Context, g *generation) error {
	mine, err := open(ctx, ":memory:", url.Values{"mode": {"memory"}})
	if err != nil {
		return err
	}
	mine.SetMaxOpenConns(1)
	_, err = mine.ExecContext(ctx, generationMeta+gs.schema)
	var want, have string
	if err == nil {
		want, err = tables(ctx, mine)
	}
	if err == nil {
		have, err = tables(ctx, g.reads)
	}
	if err == nil && want != have {
		err = errors.New("its tables are others")
	}
	return errors.Join(err, mine.Close())
}

func tables(ctx context.Context, q queryer) (all string, err error) {
	err = each(ctx, q, `SELECT name, coalesce(sql, '') FROM sqlite_master WHERE name NOT IN ('meta', 'build') ORDER BY name`, nil,
		func(name string, sql []byte) error {
			all += name + "\n" + string(sql) + "\n"
			return nil
		})
	return all, err
}

func (gs *generations) connect(ctx context.Context, n int) (*generation, error) {
	g := &generation{number: n, path: gs.path(n), giveWay: func(context.Context) { runtime.Gosched() }}
	var err error
	if g.writes, err = open(ctx, g.path, viewOptions(-32768)); err != nil {
		return nil, err
	}
	g.writes.SetMaxOpenConns(1)
	if g.reads, err = open(ctx, g.path, viewOptions(-4096)); err != nil {
		return nil, closing(g.writes, err)
	}
	return g, nil
}

// viewOptions never create a file: a connection opened after the generation was removed must fail, not find nothing.
func viewOptions(cache int) url.Values {
	return url.Values{
		"mode":    {"rw"},
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "wal_autocheckpoint(4000)",
			fmt.Sprintf("cache_size(%d)", cache), "temp_store(MEMORY)", "mmap_size(0)",
		},
	}
}

// acquire returns the current generation, for use until release is called. It looks at the pointer each time, which
// costs little beside a query, so that a switch by another process is seen by the next query.
func (gs *generations) acquire(ctx context.Context) (g *generation, release func(), err error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.closed {
		return nil, nil, fmt.Errorf("read model %s: %w: it is closed", gs.name, domain.ErrUnavailable)
	}
	n, err := gs.pointer()
	if err == nil && n != gs.current.number {
		var next *generation
		if next, err = gs.open(ctx, n); err == nil {
			old := gs.current
			gs.current = next
			if err := old.retire(); err != nil {
				return nil, nil, err
			}
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, nil, err
	}
	// A pointer that cannot be followed leaves the generation that is open: its rows are right, only not the newest.
	g = gs.current
	g.mu.Lock()
	g.users++
	g.mu.Unlock()
	return g, func() { _ = g.leave() }, nil
}

// with runs f on the current generation, and again if that was removed meanwhile.
func (gs *generations) with(ctx context.Context, f func(*generation) error) error {
	for {
		g, release, err := gs.acquire(ctx)
		if err != nil {
			return err
		}
		err = f(g)
		release()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if n, perr := gs.pointer(); perr != nil || n == g.number || errors.Is(err, domain.ErrConflict) {
			return err
		}
	}
}

func (g *generation) leave() error {
	g.mu.Lock()
	g.users--
	last := g.retired && g.users == 0
	g.mu.Unlock()
	if last {
		return g.Close()
	}
	return nil
}

// retire closes the generation as soon as nobody uses it.
func (g *generation) retire() error {
	g.mu.Lock()
	g.retired = true
	idle := g.users == 0
	g.mu.Unlock()
	if idle {
		return g.Close()
	}
	return nil
}

// Close closes the files at once.
func (g *generation) Close() error { return errors.Join(g.writes.Close(), g.reads.Close()) }

// Close closes the current generation when its queries have ended.
func (gs *generations) Close() error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.closed {
		return nil
	}
	gs.closed = true
	return gs.current.retire()
}

// outdated is an error if the rows are those of another version of the model.
func (gs *generations) outdated(g *generation) error {
	if g.version != gs.version {
		return fmt.Errorf("%s, version %d, this program has %d: %w", gs.name, g.version, gs.version, projections.ErrOutdated)
	}
	return nil
}

// stored says what is stored of the read model. A generation that was replaced, and whose successor cannot be followed,
// stands where it did then.
func (gs *generations) stored(ctx context.Context) (s projections.Stored, err error) {
	err = gs.with(ctx, func(g *generation) error {
		s = projections.Stored{Generation: strconv.Itoa(g.number), Version: g.version}
		s.Position, err = checkpoint(ctx, g.reads)
		s.Position = unretired(s.Position)
		return err
	})
	if n := gs.before(); n > 0 {
		s.Previous = strconv.Itoa(n)
	}
	return s, err
}
