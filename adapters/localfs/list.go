package localfs

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/commands"
)

// List implements commands.Blobs.
func (s *Store) List(ctx context.Context, prefix string, each func(commands.StoredBlob) error) error {
	dir := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i]
		if err := s.check(ctx, dir); err != nil {
			return err
		}
	}
	return s.list(ctx, dir, prefix, each)
}

func (s *Store) list(ctx context.Context, dir, prefix string, each func(commands.StoredBlob) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if absent(err) {
		return nil
	}
	if err != nil {
		return failed("list blobs", dir, err)
	}
	// The order of the keys is not the order of the names: "a-b/x" comes before "a/x", because '-' is below '/'.
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return cmp.Compare(sortName(x), sortName(y)) })
	for _, e := range entries {
		key := e.Name()
		if dir != "." {
			key = dir + "/" + key
		}
		if e.IsDir() {
			if key == tempDir || !mayHold(key+"/", prefix) {
				continue
			}
			if err := s.list(ctx, key, prefix, each); err != nil {
				return err
			}
			continue
		}
		if !strings.HasPrefix(key, prefix) || !validKey(key) {
			continue
		}
		info, err := e.Info()
		if absent(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return failed("list blobs", key, err)
		}
		if err := each(commands.StoredBlob{Key: key, Bytes: info.Size(), Modified: info.ModTime().Unix()}); err != nil {
			return err
		}
	}
	return nil
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// mayHold says whether keys under dir, which ends with a slash, can begin with prefix.
func mayHold(dir, prefix string) bool {
	return strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
}

// Temporary lists the files that are being written, or were when a process ended.
func (s *Store) Temporary() (files []commands.StoredBlob, err error) {
	entries, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil {
		return nil, failed("list what is being written", tempDir, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.Name() == lockName { // it is there no more
			continue
		}
		files = append(files, commands.StoredBlob{Key: tempDir + "/" + e.Name(), Bytes: info.Size(), Modified: info.ModTime().Unix()})
	}
	return files, nil
}

// DropTemporary removes one of them.
func (s *Store) DropTemporary(key string) error {
	name, ok := strings.CutPrefix(key, tempDir+"/")
	if !ok || name == lockName || strings.Contains(name, "/") {
		return failed("remove what was being written", key, fs.ErrInvalid)
	}
	if err := s.root.Remove(key); err != nil && !absent(err) {
		return failed("remove what was being written", key, err)
	}
	return nil
}
