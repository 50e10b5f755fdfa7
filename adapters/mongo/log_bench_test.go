package mongo_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

func BenchmarkLog(b *testing.B) {
	contract.EventLogBenchmarks(b, func(b *testing.B) contract.Log {
		b.Helper()
		return openLog(b, newDatabase(b))
	})
}

// BenchmarkAppendOfBare measures what the log costs beside the driver itself: "of_bare" is its speed as a part of that
// of a bare program, which inserts the same documents, ready made, as many at once as there are writers, with the same
// indexes and concerns. The two take turns in slices, so that both meet the same server and the same neighbours.
func BenchmarkAppendOfBare(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dwriters", writers), func(b *testing.B) {
			slice := writers * max(4, 256/writers)
			l := openLog(b, newDatabase(b))
			bare := openBare(b)
			// The first inserts meet connections that are not there yet.
			contract.AppendCommits(b, l, writers, writers)
			bare.insert(bare.documents(writers, writers), writers)
			var ours, bares time.Duration
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				contract.AppendCommits(b, l, writers, slice)
				ours += time.Since(start)
				documents := bare.documents(slice, writers)
				start = time.Now()
				bare.insert(documents, writers)
				bares += time.Since(start)
			}
			total := float64(b.N * slice)
			b.ReportMetric(total/ours.Seconds(), "appends/s")
			b.ReportMetric(total/bares.Seconds(), "bare/s")
			b.ReportMetric(bares.Seconds()/ours.Seconds(), "of_bare")
		})
	}
}

// bare is the bare program.
type bare struct {
	b       *testing.B
	commits *driver.Collection
	next    int
}

func openBare(b *testing.B) *bare {
	b.Helper()
	return &bare{b: b, commits: mongo.Collection(connect(b, newDatabase(b)), "commits"), next: 1}
}

// documents makes documents like those that AppendCommits leads to: a stream for each writer, 20 events in each.
func (p *bare) documents(n, writers int) []any {
	streams := make([]string, writers)
	documents := make([]any, n)
	for i := range documents {
		at := int64(p.next)
		p.next++
		eventType, data, err := domain.EncodeEvent(contract.TypicalEvent(int(at)))
		if err != nil {
			p.b.Fatal(err)
		}
		version := i/writers%20 + 1
		if version == 1 {
			streams[i%writers] = uuid.NewString()
		}
		documents[i] = bson.D{
			{Key: "_id", Value: fmt.Sprintf("%020d", at)},
			{Key: "first", Value: at},
			{Key: "last", Value: at},
			{Key: "stream", Value: streams[i%writers]},
			{Key: "version", Value: version},
			{Key: "next", Value: version + 1},
			{Key: "id", Value: uuid.NewString()},
			{Key: "time", Value: time.Now().UnixMicro()},
			{Key: "meta", Value: bson.D{
				{Key: "actor", Value: "local"},
				{Key: "correlation", Value: "c-1"},
				{Key: "causation", Value: "7"},
				{Key: "request", Value: "abc"},
			}},
			{Key: "events", Value: bson.A{bson.D{{Key: "type", Value: eventType}, {Key: "data", Value: string(data)}}}},
			{Key: "hash", Value: make([]byte, 32)},
		}
	}
	return documents
}

func (p *bare) insert(documents []any, group int) {
	for len(documents) > 0 {
		if _, err := p.commits.InsertMany(p.b.Context(), documents[:group]); err != nil {
			p.b.Fatal(err)
		}
		documents = documents[group:]
	}
}
