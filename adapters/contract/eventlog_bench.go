package contract

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cinelog/cinelog/domain"
)

// EventLogBenchmarks measures appends of one event each, every writer to streams of its own, and reads. open returns
// an empty log, usable until the benchmark ends.
func EventLogBenchmarks(b *testing.B, open func(b *testing.B) Log) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("append/%dwriters", writers), func(b *testing.B) {
			l := open(b)
			b.ResetTimer()
			AppendCommits(b, l, writers, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
	b.Run("read", func(b *testing.B) {
		l := open(b)
		const events = 5000
		AppendCommits(b, l, 64, events)
		b.ResetTimer()
		for range b.N {
			for at := domain.Position(0); at < events; {
				page, err := l.ReadAfter(b.Context(), at, 500)
				if err != nil || len(page) == 0 {
					b.Fatalf("%d events, %v", len(page), err)
				}
				at = page[len(page)-1].Position
			}
		}
		b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
	})
}

// AppendCommits appends total commits of one typical event with so many writers at once.
func AppendCommits(b *testing.B, l Log, writers, total int) {
	b.Helper()
	var next atomic.Int64
	race(writers, func(int) {
		stream, version := "", 0
		for {
			i := int(next.Add(1))
			if i > total {
				return
			}
			// A video has tens of events, so a writer soon goes on with the next one.
			if version%20 == 0 {
				id, err := domain.NewVideoID()
				if err != nil {
					b.Error(err)
					return
				}
				stream, version = string(id), 0
			}
			a, err := l.Append(b.Context(), newCommit(stream, version, TypicalEvent(i)))
			if err != nil {
				b.Error(err)
				return
			}
			version = a.Version
		}
	})
}

// TypicalEvent is an event of about a kilobyte, as most are.
func TypicalEvent(i int) domain.Event {
	segments := make([]domain.Segment, 4)
	for j := range segments {
		segments[j] = domain.Segment{
			Blob: domain.Blob{
				Key: fmt.Sprintf("media/0190b0a0/1/1080p/%06d-%d.m4s", i, j), Bytes: 1_000_000 + int64(i),
				SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			},
			Duration: 4, Keyframes: []domain.Keyframe{{Offset: 812, Length: 51_234}, {Offset: 400_812, Length: 49_000, Time: 2}},
		}
	}
	return domain.ChunkTranscoded{Attempt: 1, Chunk: i, Renditions: []domain.RenditionChunk{{Name: "1080p", Segments: segments}}}
}
