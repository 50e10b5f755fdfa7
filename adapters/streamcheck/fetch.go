package streamcheck

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// response is what a server said beside the content.
type response struct {
	contentType string
	gzip        bool
	redirected  string // where to; empty where it was not
}

// Bounds of what is read: a playlist may name anything.
const (
	maxPlaylist    = 32 << 20
	maxSegment     = 512 << 20
	maxRedirects   = 3
	requestTimeout = 2 * time.Minute
	dialTimeout    = 10 * time.Second
)

var (
	errTooLarge = errors.New("larger than what is read")
	errPlace    = errors.New("lies where this check does not go")
)

// fetcher reads files and addresses.
type fetcher struct {
	root   *os.Root // of a folder
	client *http.Client
	left   atomic.Int64 // bytes that may still be read
	read   atomic.Int64
	files  atomic.Int64
}

// newFetcher opens what target names, and returns the address of the first playlist.
func newFetcher(target string, limit int64) (*fetcher, *url.URL, error) {
	f := &fetcher{}
	f.left.Store(limit)
	if u, err := url.Parse(target); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		if u.Host == "" {
			return nil, nil, fmt.Errorf("%q names no host", target)
		}
		f.client = newClient(u.Hostname())
		return f, u, nil
	}
	info, err := os.Stat(target)
	if err != nil {
		return nil, nil, fmt.Errorf("neither an http address nor a file: %w", err)
	}
	dir, file := filepath.Split(target)
	if info.IsDir() {
		dir = target
		if file, err = rootPlaylist(dir); err != nil {
			return nil, nil, err
		}
	}
	if dir == "" {
		dir = "."
	}
	if f.root, err = os.OpenRoot(dir); err != nil {
		return nil, nil, fmt.Errorf("open the folder: %w", err)
	}
	return f, &url.URL{Path: "/" + filepath.ToSlash(file)}, nil
}

// rootPlaylist finds the multivariant playlist of a folder, or its only playlist, or its only manifest.
func rootPlaylist(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("list the folder: %w", err)
	}
	var playlists, multivariant, manifests []string
	for _, e := range entries {
		switch path.Ext(e.Name()) {
		case ".m3u8":
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return "", fmt.Errorf("read a playlist: %w", err)
			}
			playlists = append(playlists, e.Name())
			if bytes.Contains(text, []byte("#EXT-X-STREAM-INF:")) {
				multivariant = append(multivariant, e.Name())
			}
		case ".mpd":
			manifests = append(manifests, e.Name())
		}
	}
	for _, found := range [][]string{multivariant, playlists, manifests} {
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return "", fmt.Errorf("%s has more than one to begin with: name one of %s", dir, strings.Join(found, ", "))
		}
	}
	return "", fmt.Errorf("%s has no playlist and no manifest", dir)
}

// get reads a file, or a part of it, of at most limit bytes.
func (f *fetcher) get(ctx context.Context, address *url.URL, part *byteRange, limit int64) ([]byte, *response, error) {
	limit = min(limit, f.left.Load())
	if part != nil {
		if part.length > limit {
			return nil, nil, fmt.Errorf("a part of %d bytes: %w", part.length, errTooLarge)
		}
	}
	var data []byte
	var r *response
	var err error
	if f.client == nil {
		data, err = f.fromFolder(address, part, limit)
	} else {
		data, r, err = f.fromServer(ctx, address, part, limit)
	}
	f.left.Add(-int64(len(data)))
	f.read.Add(int64(len(data)))
	f.files.Add(1)
	if err == nil && part != nil && int64(len(data)) != part.length {
		err = fmt.Errorf("the file has %d bytes from %d on, not %d", len(data), part.offset, part.length)
	}
	return data, r, err
}

func (f *fetcher) fromFolder(address *url.URL, part *byteRange, limit int64) ([]byte, error) {
	if address.Scheme != "" || address.Host != "" {
		return nil, fmt.Errorf("%w: only files below the folder are read", errPlace)
	}
	file, err := f.root.Open(filepath.FromSlash(strings.TrimPrefix(path.Clean(address.Path), "/")))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", errPlace)
	}
	var from io.Reader = file
	if part != nil {
		from = io.NewSectionReader(file, part.offset, part.length)
	}
	return readAtMost(from, limit)
}

func (f *fetcher) fromServer(ctx context.Context, address *url.URL, part *byteRange, limit int64) ([]byte, *response, error) {
	if address.Scheme != "http" && address.Scheme != "https" {
		return nil, nil, fmt.Errorf("%w: only http and https are read", errPlace)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("ask: %w", err)
	}
	req.Header.Set("User-Agent", "cinelog-validate")
	want := http.StatusOK
	if part != nil {
		want = http.StatusPartialContent
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.offset, part.offset+part.length-1))
	} else {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	r := &response{contentType: res.Header.Get("Content-Type"), gzip: res.Header.Get("Content-Encoding") == "gzip"}
	if res.Request.URL.String() != address.String() {
		r.redirected = res.Request.URL.Redacted()
	}
	if res.StatusCode != want {
		return nil, r, fmt.Errorf("the server answered %s, not %d", res.Status, want)
	}
	var body io.Reader = res.Body
	if r.gzip {
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, r, fmt.Errorf("unzip: %w", err)
		}
		body = z
	}
	data, err := readAtMost(body, limit)
	return data, r, err
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%d bytes and more: %w", limit, errTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return data, nil
}

func (f *fetcher) close() {
	if f.root != nil {
		_ = f.root.Close()
	}
	if f.client != nil {
		f.client.CloseIdleConnections()
	}
}
