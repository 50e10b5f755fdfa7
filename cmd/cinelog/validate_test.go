package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.m3u8")
	playlist := "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:6.0,\nmissing.ts\n#EXT-X-ENDLIST\n"
	if err := os.WriteFile(file, []byte(playlist), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{dir, file} {
		out := cinelog(t, exitFailed, "validate", target)
		if !strings.Contains(out, "RFC 8216, 6.2.1: what is named can be had\n        a.m3u8:6\n") || !strings.Contains(out, "1 errors, ") {
			t.Errorf("%s: it says:\n%s", target, out)
		}
	}
	var first struct{ Clause, Severity, File, Measured, Wanted, Advice string }
	out := cinelog(t, exitFailed, "--json", "validate", dir)
	line, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Clause != "RFC 8216, 6.2.1" || first.Severity != "error" ||
		first.File != "a.m3u8" || first.Measured == "" || first.Wanted == "" || first.Advice == "" {
		t.Errorf("%v: %s", err, line)
	}
	cinelog(t, exitUsage, "validate")
	cinelog(t, exitFailed, "validate", filepath.Join(dir, "none"))
}

// TestValidateThatIsStoppedIsNoSuccess: somebody who asks for the exit code must not take Ctrl-C for "all is well".
func TestValidateThatIsStoppedIsNoSuccess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	err := validateCmd{Target: server.URL + "/a.m3u8", Timeout: patience}.Run(ctx, &console{out: io.Discard, err: io.Discard})
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v, want an error of its own", err)
	}
}
