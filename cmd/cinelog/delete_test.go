package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A deleted video ends its encodes within some seconds, and leaves no file of them.
func TestADeletedVideoIsNotEncodedFurther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Browsers do not play MPEG-4 part 2, and ten minutes of it take longer than this test.
	short, clip := filepath.Join(dir, "short.mp4"), filepath.Join(dir, "clip.mp4")
	convert(t, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=10", "-c:v", "mpeg4", "-q:v", "8", "file:"+short)
	convert(t, "-stream_loop", "59", "-i", "file:"+short, "-c", "copy", "file:"+clip)
	data := filepath.Join(dir, "data")
	p := startProcess(t, nil, buildBinary(t), data, filepath.Join(dir, "log"), "--profile", "small")
	cl := &client{server: p.address(t)}
	var v answer
	if err := cl.call(t.Context(), "POST", "/v1/videos", map[string]any{"title": "To be deleted"}, &v); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(clip)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.put(t.Context(), v.ID, "clip.mp4", f, info.Size()); err != nil {
		t.Fatal(err)
	}
	encoders := func() (found string) {
		for _, line := range descendants(t, p.cmd.Process.Pid) {
			if strings.Contains(line, "libx264") {
				found = line
			}
		}
		return found
	}
	eventually(t, time.Minute, func() string {
		if encoders() == "" {
			return "nothing is encoded"
		}
		return ""
	})
	if err := cl.call(t.Context(), "DELETE", "/v1/videos/"+v.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	eventually(t, time.Minute, encoders) // 5 s are promised, of a machine that does nothing else
	t.Logf("its encodes ended after %.1f s", time.Since(deleted).Seconds())
	eventually(t, time.Minute, func() (found string) {
		err := filepath.WalkDir(filepath.Join(data, "blobs"), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Contains(path, v.ID) {
				found = path
			}
			return nil // what goes meanwhile is what this waits for
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cl.call(ctx, "GET", "/readyz", nil, nil); err != nil {
		t.Errorf("the server afterwards: %v", err)
	}
}
