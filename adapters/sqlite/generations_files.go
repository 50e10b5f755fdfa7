package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The names of the files: which generation is current, and which was before.
const (
	current  = "current"
	previous = "previous"
)

func (gs *generations) pointerPath(which string) string {
	return filepath.Join(gs.dir, "views-"+gs.name+"."+which)
}

func (gs *generations) path(n int) string {
	return filepath.Join(gs.dir, fmt.Sprintf("views-%s-%d.db", gs.name, n))
}

// pointer returns the number of the current generation.
func (gs *generations) pointer() (int, error) { return gs.numberIn(current) }

func (gs *generations) numberIn(which string) (int, error) {
	b, err := os.ReadFile(gs.pointerPath(which))
	if err != nil {
		return 0, fmt.Errorf("read model %s: %w", gs.name, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read model %s: %s: %w", gs.name, gs.pointerPath(which), err)
	}
	return n, nil
}

// before returns the number of the generation before the current one, 0 where none is kept.
func (gs *generations) before() int {
	n, err := gs.numberIn(previous)
	if err != nil {
		return 0
	}
	if now, err := gs.pointer(); err != nil || now == n {
		return 0
	}
	if _, err := os.Stat(gs.path(n)); err != nil {
		return 0
	}
	return n
}

// point makes a generation the current one. Nothing is synced: after a loss of power an older pointer, or none, only
// means to build again.
func (gs *generations) point(n int) error { return gs.setNumber(current, n) }

// replace makes a generation the current one, in the place of another, which is kept as the one before.
func (gs *generations) replace(old, next int) error {
	if err := gs.point(next); err != nil {
		return err
	}
	return gs.setNumber(previous, old)
}

func (gs *generations) setNumber(which string, n int) error {
	f, err := os.CreateTemp(gs.dir, "views-"+gs.name+"."+which+"-*")
	if err != nil {
		return fmt.Errorf("switch read model %s: %w", gs.name, err)
	}
	_, err = fmt.Fprintf(f, "%d\n", n)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), gs.pointerPath(which))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("switch read model %s: %w", gs.name, err), os.Remove(f.Name()))
	}
	return nil
}

// remove deletes a generation's files. Whoever has them open goes on reading them; what cannot be deleted now is
// found by removeOthers.
func (gs *generations) remove(n int) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(gs.path(n) + suffix)
	}
}

// removeOthers deletes what crashed rebuilds left, and what was replaced. Only the holder of the rebuild lock may call it.
func (gs *generations) removeOthers(keep ...int) error {
	numbers, err := gs.numbers()
	for _, n := range numbers {
		if !slices.Contains(keep, n) {
			gs.remove(n)
		}
	}
	return err
}

// numbers are those of the generations of which there are files.
func (gs *generations) numbers() (numbers []int, err error) {
	files, err := filepath.Glob(filepath.Join(gs.dir, "views-"+gs.name+"-*.db"))
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", gs.name, err)
	}
	for _, f := range files {
		number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "views-"+gs.name+"-"), ".db")
		if n, err := strconv.Atoi(number); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}
