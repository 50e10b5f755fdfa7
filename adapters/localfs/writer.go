package localfs

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

const (
	// writeback is how many bytes are written before the disk is told to begin with them.
	writeback = 8 << 20
	// directFrom is the size from which on a file goes past the machine's cache. A long source is read about once more, a
	// segment often.
	directFrom = 32 << 20
	// cachePiece is how much goes to the cache at once. Larger writes make Linux take larger pieces of memory for it, which
	// are seldom at hand: with 256 KiB, 2 GiB cost 1.7 s of a CPU, with 64 KiB 0.8 s.
	cachePiece = 64 << 10
)

// writer writes a file from its beginning on. The head of it goes through the machine's cache. What follows goes straight
// to the disk (O_DIRECT) where the file system can do that: it spares a copy of every byte, and the cache keeps what
// players ask for.
type writer struct {
	f       *os.File
	size    int64
	begun   int64 // how far the disk was told to write
	direct  bool
	refused bool // direct writes, by this file system
}

// write needs a buffer of newBuffer: direct writes must be aligned.
func (w *writer) write(p []byte) error {
	w.setDirect(w.size >= directFrom && len(p) == bufferSize)
	if !w.direct {
		return w.cached(p)
	}
	n, err := w.f.Write(p)
	if n == 0 && errors.Is(err, syscall.EINVAL) {
		w.setDirect(false)
		w.refused = true
		return w.cached(p)
	}
	w.size += int64(n)
	w.begun = w.size
	return err //nolint:wrapcheck // the caller names the blob
}

func (w *writer) cached(p []byte) error {
	for len(p) > 0 {
		n, err := w.f.Write(p[:min(len(p), cachePiece)])
		w.size += int64(n)
		if err != nil {
			return err //nolint:wrapcheck // the caller names the blob
		}
		p = p[n:]
	}
	if w.size-w.begun >= writeback {
		startWriteback(w.f, w.begun, w.size-w.begun)
		w.begun = w.size
	}
	return nil
}

func (w *writer) setDirect(direct bool) {
	switch {
	case w.direct == direct || w.refused:
	case setDirect(w.f, direct) != nil:
		w.refused = true
	default:
		w.direct = direct
	}
}

// newBuffer begins at a page of memory, as direct writes want it.
func newBuffer() *[]byte {
	const page = 4096
	b := make([]byte, bufferSize+page)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1))
	b = b[skip : skip+bufferSize : skip+bufferSize]
	return &b
}
