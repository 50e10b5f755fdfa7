package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// BenchmarkBlobs measures storing and fetching beside the SDK's single PutObject from memory and GetObject into a
// file: "of_bare" is our speed as a part of its. We compute a digest of the whole, look whether the blob is there, and
// send and fetch long ones in parts. The two take turns.
func BenchmarkBlobs(b *testing.B) {
	for _, size := range []int{300 << 10, 64 << 20} { // a segment, a source
		o := options(b)
		o.CacheBytes = 1 // so that every Local fetches
		s, client := ensure(b, o), bare(o)
		data := randomBytes(size)
		key := "media/a-blob"
		putBare := func() {
			_, err := client.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: &o.Bucket, Key: &key, Body: bytes.NewReader(data)})
			if err != nil {
				b.Fatal(err)
			}
		}
		putOurs := func() {
			if _, err := s.Put(b.Context(), key, stream{bytes.NewReader(data)}); err != nil {
				b.Fatal(err)
			}
		}
		file := filepath.Join(b.TempDir(), "file")
		getBare := func() {
			out, err := client.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: &o.Bucket, Key: &key})
			if err != nil {
				b.Fatal(err)
			}
			defer out.Body.Close()
			f, err := os.Create(file)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(f, out.Body); err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		}
		getOurs := func() {
			_, release, err := s.Local(b.Context(), key)
			if err != nil {
				b.Fatal(err)
			}
			release()
		}
		for _, c := range []struct {
			what        string
			ours, their func()
		}{{"put", putOurs, putBare}, {"get", getOurs, getBare}} {
			b.Run(fmt.Sprintf("%s %d KiB", c.what, size>>10), func(b *testing.B) {
				ours, their := takeTurns(b, c.ours, c.their)
				b.ReportMetric(float64(b.N)*float64(size)/(1<<20)/ours.Seconds(), "MiB/s")
				b.ReportMetric(float64(b.N)*float64(size)/(1<<20)/their.Seconds(), "bare_MiB/s")
			})
		}
	}
}

// BenchmarkURL measures signing an address beside the SDK's presign client; a playlist needs one for each segment.
func BenchmarkURL(b *testing.B) {
	o := options(b)
	s, key := open(b, o), "media/a-blob"
	client := awss3.NewPresignClient(bare(o))
	ours, their := takeTurns(b, func() {
		if _, err := s.URL(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := client.PresignGetObject(b.Context(), &awss3.GetObjectInput{Bucket: &o.Bucket, Key: &key}); err != nil {
			b.Fatal(err)
		}
	})
	b.ReportMetric(ours.Seconds()*1e6/float64(b.N), "µs")
	b.ReportMetric(their.Seconds()*1e6/float64(b.N), "bare_µs")
}

// takeTurns runs the two, each as often as the other, and says how long each took in all.
func takeTurns(b *testing.B, ours, their func()) (oursTook, theirTook time.Duration) {
	b.Helper()
	ours()
	their()
	b.ResetTimer()
	for i := range b.N {
		for turn := range 2 {
			start := time.Now()
			if (turn+i)%2 == 0 {
				ours()
				oursTook += time.Since(start)
			} else {
				their()
				theirTook += time.Since(start)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(theirTook.Seconds()/oursTook.Seconds(), "of_bare")
	return oursTook, theirTook
}
