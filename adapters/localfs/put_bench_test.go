package localfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkPut measures storing a blob beside the least that makes a file durable: "of_bare" is the speed of Put as a
// part of that of writing a temporary file, fsyncing it, renaming it and fsyncing its directory, without a digest and
// without looking at the key. 1 MiB is about a segment, 64 MiB is for the speed of long ones. The two take turns.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("%d MiB", size>>20), func(b *testing.B) {
			data := make([]byte, size)
			random := rand.NewChaCha8([32]byte{1})
			_, _ = random.Read(data) // never fails
			store, dir := open(b, filepath.Join(b.TempDir(), "blobs")), b.TempDir()
			put := func() {
				if _, err := store.Put(b.Context(), "media/a-blob", bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
			put() // the first one makes the folders
			putBare(b, dir, data)
			var ours, bare time.Duration
			n := 0
			for b.Loop() {
				for turn := range 2 {
					start := time.Now()
					if (turn+n)%2 == 0 {
						put()
						ours += time.Since(start)
					} else {
						putBare(b, dir, data)
						bare += time.Since(start)
					}
				}
				n++
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(n)*float64(size)/(1<<20)/ours.Seconds(), "MiB/s")
			b.ReportMetric(float64(n)*float64(size)/(1<<20)/bare.Seconds(), "bare_MiB/s")
			b.ReportMetric(bare.Seconds()/ours.Seconds(), "of_bare")
		})
	}
}

func putBare(b *testing.B, dir string, data []byte) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	temp := filepath.Join(dir, "temporary")
	f, err := os.Create(temp)
	must(err)
	_, err = f.Write(data)
	must(err)
	must(f.Sync())
	must(f.Close())
	must(os.Rename(temp, filepath.Join(dir, "blob")))
	d, err := os.Open(dir)
	must(err)
	must(d.Sync())
	must(d.Close())
}
