package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	dir := filepath.Join(t.TempDir(), "not", "yet")
	if err := (doctorCmd{}).Run(t.Context(), &console{out: &out, err: io.Discard, places: places{Data: dir}, json: true}); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var c check
		if err := json.Unmarshal([]byte(line), &c); err != nil || c.Detail == "" {
			t.Fatalf("%q: %v", line, err)
		}
		seen[c.Name] = c.OK
	}
	for _, name := range []string{"ffmpeg", "cage", "data folder", "durability", "open files"} {
		if !seen[name] {
			t.Errorf("%s is not ok: %s", name, &out)
		}
	}
}

func TestDoctorSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	err := (doctorCmd{}).Run(t.Context(), &console{out: &out, err: io.Discard, places: places{Data: "/proc/nowhere"}})
	if err == nil || !strings.HasPrefix(err.Error(), "2 things") {
		t.Errorf("%v, want 2 things missing", err)
	}
	for _, want := range []string{"MISSING  ffmpeg", "apt-get install -y ffmpeg", "MISSING  data folder", "--data"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}
