package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cinelog/cinelog/domain"
)

// A generation is one build of a read model, in a file of its own: views-<projection>-<n>.db. A small file beside
// them, views-<projection>.current, names the one in use and is only ever replaced whole, so that readers see the
// old build or the new one and nothing between. Numbers are not used twice.
type generation struct {
	number int
	path   string
	reads  *sql.DB
	writes *sql.DB // one connection, with a larger cache: there is one writer, and a rebuild is all writing

	mu      sync.Mutex
	users   int
	retired bool // close with the last user
	saving  sync.Mutex
}

type generations struct {
	dir, name string
	version   int
	schema    string

	mu      sync.Mutex
	current *generation
	closed  bool
}

const generationMeta = `
CREATE TABLE meta (version INTEGER NOT NULL, checkpoint INTEGER NOT NULL) STRICT;
`

// openGenerations opens the current generation. Where there is none, or only one of another version of the model, an
// empty one becomes current: CatchUp fills it.
func openGenerations(ctx context.Context, dir, name string, version int, schema string) (*generations, error) {
	gs := &generations{dir: dir, name: name, version: version, schema: schema}
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

var errOtherVersion = errors.New("the file belongs to another version of the model")

func (gs *generations) pointerPath() string {
	return filepath.Join(gs.dir, "views-"+gs.name+".current")
}

func (gs *generations) path(n int) string {
	return filepath.Join(gs.dir, fmt.Sprintf("views-%s-%d.db", gs.name, n))
}

// pointer returns the number of the current generation.
func (gs *generations) pointer() (int, error) {
	b, err := os.ReadFile(gs.pointerPath())
	if err != nil {
		return 0, fmt.Errorf("read model %s: %w", gs.name, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read model %s: %s: %w", gs.name, gs.pointerPath(), err)
	}
	return n, nil
}

// point makes a generation the current one. Nothing is synced: after a loss of power an older pointer, or none, only
// means to build again.
func (gs *generations) point(n int) error {
	f, err := os.CreateTemp(gs.dir, "views-"+gs.name+".current-*")
	if err != nil {
		return fmt.Errorf("switch read model %s: %w", gs.name, err)
	}
	_, err = fmt.Fprintf(f, "%d\n", n)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), gs.pointerPath())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("switch read model %s: %w", gs.name, err), os.Remove(f.Name()))
	}
	return nil
}

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
	return g, nil
}

// open opens an existing generation; errOtherVersion when this program means other rows.
func (gs *generations) open(ctx context.Context, n int) (*generation, error) {
	if _, err := os.Stat(gs.path(n)); err != nil {
		return nil, fmt.Errorf("read model %s: %w", gs.name, err)
	}
	g, err := gs.connect(ctx, n)
	if err != nil {
		return nil, err
	}
	var version int
	err = g.reads.QueryRowContext(ctx, `SELECT version FROM meta`).Scan(&version)
	if err != nil && ctx.Err() == nil && !errors.Is(unavailable(err), domain.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", errOtherVersion, err) // cut off while it was made, or damaged: it is disposable
	}
	if err == nil && version != gs.version {
		err = errOtherVersion
	}
	if err != nil {
		return nil, closing(g, fmt.Errorf("read model %s: %w", gs.name, err))
	}
	return g, nil
}

func (gs *generations) connect(ctx context.Context, n int) (*generation, error) {
	g := &generation{number: n, path: gs.path(n)}
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

// remove deletes a generation's files. Whoever has them open goes on reading them; what cannot be deleted now is
// found by removeOthers.
func (gs *generations) remove(n int) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(gs.path(n) + suffix)
	}
}

// removeOthers deletes what crashed rebuilds left. Only the holder of the rebuild lock may call it.
func (gs *generations) removeOthers(keep int) error {
	files, err := filepath.Glob(filepath.Join(gs.dir, "views-"+gs.name+"-*.db"))
	if err != nil {
		return fmt.Errorf("read model %s: %w", gs.name, err)
	}
	for _, f := range files {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "views-"+gs.name+"-"), ".db")
		if n, err := strconv.Atoi(number); err == nil && n != keep {
			gs.remove(n)
		}
	}
	return nil
}
