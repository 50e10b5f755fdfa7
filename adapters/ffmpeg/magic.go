package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cinelog/cinelog/domain"
)

// container is a file format that is let in. FFmpeg is told to use this demuxer and no other: left to guess, it takes
// a playlist named .mp4 for a playlist and opens whatever that names.
type container struct {
	demuxer string
	name    string // for people
	// noSeek says why its files cannot be sought exactly.
	noSeek string
	// cut says that the header goes on beyond the end of this file, so that tracks may be missing.
	cut bool
}

// beginsAnew says whether the times of a track may begin anew within a file.
func (c container) beginsAnew() bool { return c.demuxer == "mpegts" || c.demuxer == "mpeg" }

func notAVideo(detail string) error {
	return &domain.Failure{Code: domain.NotAVideo, Detail: detail}
}

// sniff tells the container from the file's own bytes and refuses all but the known ones. It also refuses protected
// MP4 files: FFmpeg "decodes" those to noise.
func sniff(path string) (container, error) {
	f, err := os.Open(path)
	if err != nil {
		return container{}, fmt.Errorf("open the source: %w", err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return container{}, fmt.Errorf("read the source: %w", err)
	}
	head = head[:n]
	if n == 0 {
		return container{}, notAVideo("the file is empty")
	}
	c, ok := sniffHead(head)
	if !ok {
		return container{}, notAVideo("the file is in none of the formats that are accepted (MP4, MOV, 3GP, WebM, Matroska, MPEG-TS, MPEG-PS, AVI, FLV, Ogg, ASF, MXF)")
	}
	c.name = formatName(c.demuxer, head)
	if c.demuxer == "mov" {
		return sniffMP4(f, c)
	}
	return c, nil
}

// sniffHead knows the containers by their first bytes.
func sniffHead(head []byte) (container, bool) {
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	const noIndex = " has no index to seek by"
	switch {
	case at(0, "\x1a\x45\xdf\xa3"):
		return container{demuxer: "matroska"}, true
	case at(0, "RIFF") && at(8, "AVI "):
		return container{demuxer: "avi", noSeek: "AVI keeps no presentation times"}, true
	case at(0, "FLV\x01"):
		return container{demuxer: "flv", noSeek: "FLV" + noIndex}, true
	case at(0, "OggS"):
		return container{demuxer: "ogg", noSeek: "Ogg" + noIndex}, true
	case at(0, "\x00\x00\x01\xba"):
		return container{demuxer: "mpeg", noSeek: "MPEG-PS" + noIndex}, true
	case at(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"):
		return container{demuxer: "asf", noSeek: "ASF" + noIndex}, true
	case at(0, "\x06\x0e\x2b\x34\x02\x05\x01\x01"):
		return container{demuxer: "mxf"}, true
	case transportStream(head, 188, 0), transportStream(head, 192, 4), transportStream(head, 204, 0):
		return container{demuxer: "mpegts", noSeek: "MPEG-TS" + noIndex}, true
	case at(4, "ftyp"), at(4, "moov"), at(4, "mdat"), at(4, "free"), at(4, "skip"), at(4, "wide"), at(4, "moof"), at(4, "styp"):
		return container{demuxer: "mov"}, true
	}
	return container{}, false
}

// formatName tells apart the formats that share a demuxer.
func formatName(demuxer string, head []byte) string {
	switch demuxer {
	case "matroska":
		if bytes.Contains(head, []byte("\x42\x82\x84webm")) { // the element DocType, as RFC 8794 numbers and sizes it
			return "webm"
		}
		return "mkv"
	case "mov":
		switch {
		case len(head) < 12 || string(head[4:8]) != "ftyp" || string(head[8:12]) == "qt  ":
			return "mov"
		case string(head[8:10]) == "3g":
			return "3gp"
		}
		return "mp4"
	}
	return demuxer
}

// transportStream looks for the sync byte in packet after packet.
func transportStream(head []byte, packet, first int) bool {
	n := 0
	for at := first; at < len(head); at += packet {
		if head[at] != 0x47 {
			return false
		}
		n++
	}
	return n >= 4
}

// sniffMP4 walks the top-level boxes: there must be a moov; a still image has none and says so in its brand.
func sniffMP4(f *os.File, c container) (container, error) {
	info, err := f.Stat()
	if err != nil {
		return c, fmt.Errorf("look at the source: %w", err)
	}
	var moov, moof bool
	for at, n := int64(0), 0; at+8 <= info.Size() && n < 100_000; n++ {
		var head [16]byte
		read, err := f.ReadAt(head[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("read the source: %w", err)
		}
		size, kind, header := int64(binary.BigEndian.Uint32(head[:])), string(head[4:8]), int64(8)
		if size == 1 && read == 16 {
			size, header = int64(binary.BigEndian.Uint64(head[8:])), 16 //nolint:gosec // checked below
		}
		if size == 0 {
			size = info.Size() - at
		}
		cut := size > info.Size()-at
		if size < header || cut {
			size = info.Size() - at // cut, or broken: FFmpeg may still find its way
		}
		switch kind {
		case "ftyp":
			if err := refuseImages(head[8:read]); err != nil {
				return c, err
			}
		case "moov":
			moov, c.cut = true, cut
			if err := refuseProtected(f, at, size); err != nil {
				return c, err
			}
			if err := refuseEndless(f, at+header, size-header); err != nil {
				return c, err
			}
		case "moof":
			if !moof {
				moof = true
				if err := refuseProtected(f, at, size); err != nil {
					return c, err
				}
			}
		}
		at += size
	}
	if !moov {
		return c, &domain.Failure{Code: domain.Malformed, Detail: "the MP4 file has no movie header (moov): it is cut or was never finished"}
	}
	if moof {
		c.noSeek = "the MP4 file is in fragments without one index"
	}
	return c, nil
}

func refuseImages(brand []byte) error {
	if len(brand) < 4 {
		return nil
	}
	switch string(brand[:4]) {
	case "heic", "heix", "mif1", "avif", "heim", "heis":
		return notAVideo("the file is a still image")
	}
	return nil
}

// refuseProtected looks for the boxes of Common Encryption (ISO/IEC 23001-7) in a header box. The sample entries encv
// and enca also appear when FFmpeg says avc1.
func refuseProtected(f *os.File, at, size int64) error {
	const most = 64 << 20 // a movie header of a day of video is smaller
	b, err := io.ReadAll(io.NewSectionReader(f, at, min(size, most)))
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	for _, kind := range []string{"encv", "enca", "sinf", "tenc", "pssh", "senc"} {
		for rest := b; ; {
			i := bytes.Index(rest, []byte(kind))
			if i < 0 {
				break
			}
			// The four letters may stand in any table by chance; as a box they follow a size that fits.
			if i >= 4 {
				if n := int64(binary.BigEndian.Uint32(rest[i-4:])); n >= 8 && n <= int64(len(rest)-i+4) {
					return &domain.Failure{Code: domain.Encrypted, Detail: "the file is encrypted (" + kind + ")"}
				}
			}
			rest = rest[i+4:]
		}
	}
	return nil
}

const (
	maxEdits     = 1000    // of a track; editors write one for each cut, at most
	maxMoovBoxes = 100_000 // FFmpeg opens a thousand tracks, with some thirty boxes each
)

// refuseEndless refuses movie headers over which FFmpeg sits for minutes: it goes through all samples for each edit of a
// track, and needs ten microseconds for each box however small, again at every start.
func refuseEndless(f io.ReaderAt, at, size int64) error {
	const most = 64 << 20
	b := make([]byte, max(0, min(size, most)))
	n, err := f.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the source: %w", err)
	}
	boxes := 0
	var walk func(b []byte, depth int) error
	walk = func(b []byte, depth int) error {
		for len(b) >= 8 {
			size, kind := int(binary.BigEndian.Uint32(b)), string(b[4:8])
			if size < 8 || size > len(b) {
				return nil // FFmpeg stops here too, or ends its work with the box above
			}
			if boxes++; boxes > maxMoovBoxes {
				return &domain.Failure{Code: domain.Malformed, Detail: fmt.Sprintf("the movie header has more than %d boxes", maxMoovBoxes)}
			}
			body := b[8:size]
			switch kind {
			case "elst":
				if len(body) >= 8 {
					if edits := binary.BigEndian.Uint32(body[4:]); edits > maxEdits {
						return &domain.Failure{Code: domain.Malformed, Detail: fmt.Sprintf("a track has %d edits, more than %d", edits, maxEdits)}
					}
				}
			case "trak", "edts", "mdia", "minf", "stbl", "dinf", "udta", "mvex", "moov", "gmhd", "tref", "wave", "ilst":
				if depth < 16 {
					if err := walk(body, depth+1); err != nil {
						return err
					}
				}
			}
			b = b[size:]
		}
		return nil
	}
	return walk(b[:n], 0)
}
