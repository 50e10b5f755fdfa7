package streamcheck_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// FuzzPresentation: whatever stands in playlists, manifests and media, a check ends with a report or an error.
func FuzzPresentation(f *testing.F) {
	good := goodRecipe().make(&testing.T{})
	for _, name := range []string{"master.m3u8", "low.m3u8", "low-i.m3u8", "clip.mpd", "low-init.mp4", "low-1.m4s", "audio-init.mp4"} {
		f.Add(name, good[name])
	}
	f.Add("low-1.m4s", []byte("\x00\x00\x00\x01moof\x7f\xff\xff\xff\xff\xff\xff\xff"))
	f.Add("low.m3u8", []byte("#EXTINF:\n#EXT-X-BYTERANGE:9223372036854775807@9223372036854775807\nlow-0.m4s\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if good[name] == nil || len(data) > 1<<16 || bytes.Contains(data, []byte("http")) { // it is to ask nobody
			return
		}
		c := maps.Clone(good)
		c[name] = data
		dir := c.store(t)
		for _, root := range []string{"master.m3u8", "clip.mpd"} {
			if report, err := streamcheck.Check(t.Context(), filepath.Join(dir, root), streamcheck.Options{MaxFiles: 200}); err == nil && report.Files == 0 && len(report.Findings) == 0 {
				t.Error("it finds nothing wrong with nothing")
			}
		}
		must(t, os.RemoveAll(dir))
	})
}
