package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// FFmpeg writes fragmented MP4 (ISO/IEC 14496-12) to a pipe; what stands in fmp4*.go takes it apart.

var (
	errMP4 = errors.New("unexpected MP4 structure")
	// errEarly is what a process leaves that ends before its first fragment, or within one: its exit code says why.
	errEarly = fmt.Errorf("%w: it ends early", errMP4)
)

// Bounds of what a pipe may bring, so that a broken encoder cannot fill the memory.
const (
	maxInit = 1 << 20
	maxMoof = 8 << 20
	maxMdat = 256 << 20
)

// box is one top-level box with its header.
type box struct {
	kind   string
	data   []byte
	header int
}

// readBox reads the next top-level box; io.EOF at a clean end.
func readBox(r io.Reader) (box, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:8]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return box{}, fmt.Errorf("%w: cut in a box header", errMP4)
		}
		return box{}, err //nolint:wrapcheck // io.EOF must stay itself
	}
	size, kind, header := uint64(binary.BigEndian.Uint32(head[:4])), string(head[4:8]), 8
	if size == 1 {
		if _, err := io.ReadFull(r, head[8:]); err != nil {
			return box{}, fmt.Errorf("%w: cut in a box header", errMP4)
		}
		size, header = binary.BigEndian.Uint64(head[8:]), 16
	}
	limit := uint64(maxInit)
	switch kind {
	case "moof":
		limit = maxMoof
	case "mdat":
		limit = maxMdat
	}
	if size < uint64(header) || size > limit {
		return box{}, fmt.Errorf("%w: %q of %d bytes", errMP4, kind, size)
	}
	// The buffer grows with what comes, not with what the header claims.
	var data bytes.Buffer
	data.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	data.Write(head[:header])
	if n, err := data.ReadFrom(io.LimitReader(r, int64(size)-int64(header))); err != nil || uint64(n)+uint64(header) != size { //nolint:gosec // the same
		return box{}, fmt.Errorf("%w: cut in %q", errMP4, kind)
	}
	return box{kind: kind, data: data.Bytes(), header: header}, nil
}

// splitFragments reads a whole fragmented MP4 of one track and hands its parts on. It fails on anything that is not
// ftyp, moov, then pairs of moof and mdat.
func splitFragments(r io.Reader, onInit func(data []byte) error, onFragment func(*fragment) error) error {
	var start, moof []byte
	begun := false
	for {
		b, err := readBox(r)
		if errors.Is(err, io.EOF) {
			if !begun || moof != nil {
				return errEarly
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case b.kind == "ftyp" && start == nil:
			start = b.data
		case b.kind == "moov" && start != nil && !begun:
			begun = true
			if err := onInit(append(start, b.data...)); err != nil {
				return err
			}
		case b.kind == "moof" && begun && moof == nil:
			moof = b.data
		case b.kind == "mdat" && moof != nil:
			f, err := parseFragment(moof, b.data, b.header)
			if err != nil {
				return err
			}
			moof = nil
			if err := onFragment(f); err != nil {
				return err
			}
		case b.kind == "mfra" || b.kind == "free" || b.kind == "sidx" || b.kind == "styp":
			// Indexes of the whole file: each segment stands for itself here.
		default:
			return fmt.Errorf("%w: %q out of place", errMP4, b.kind)
		}
	}
}

// eachBox calls f for the boxes that lie one after the other in b, with the offset of each one's body in b.
func eachBox(b []byte, f func(kind string, body []byte, offset int) error) error {
	for at := 0; at < len(b); {
		rest := b[at:]
		if len(rest) < 8 {
			return fmt.Errorf("%w: a cut box", errMP4)
		}
		size := int(binary.BigEndian.Uint32(rest))
		if size < 8 || size > len(rest) {
			return fmt.Errorf("%w: a box of %d bytes in %d", errMP4, size, len(rest))
		}
		if err := f(string(rest[4:8]), rest[8:size], at+8); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// findBox returns the body of the box at this path of kinds, nil if there is none.
func findBox(b []byte, path ...string) []byte {
	for _, want := range path {
		var found []byte
		_ = eachBox(b, func(kind string, body []byte, _ int) error { // a broken box is as good as none
			if kind == want && found == nil {
				found = body
			}
			return nil
		})
		if found == nil {
			return nil
		}
		b = found
	}
	return b
}
