package domain_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cinelog/cinelog/domain"
)

// Whatever the data looks like, reading by hand gives what encoding/json gives.
func TestReportsAreReadAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	// Most documents are plain, so that the damage meets the reading by hand; the others have what is left to JSON.
	text := mostly(rapid.StringMatching(`[a-z0-9/.~-]{0,20}`), rapid.String())
	number := mostly(rapid.SampledFrom([]float64{0, 4, 4.004, 2.002}), rapid.OneOf(rapid.Just(1e21), rapid.Just(1e-7), rapid.Float64()))
	integer := mostly(rapid.Int64Range(0, 1e7), rapid.Int64())
	segment := rapid.Custom(func(r *rapid.T) domain.Segment {
		return domain.Segment{
			Blob:     domain.Blob{Key: text.Draw(r, "key"), Bytes: integer.Draw(r, "bytes"), SHA256: text.Draw(r, "sum")},
			Duration: number.Draw(r, "duration"),
			Keyframes: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) domain.Keyframe {
				return domain.Keyframe{Offset: integer.Draw(r, "offset"), Length: integer.Draw(r, "length"), Time: number.Draw(r, "time")}
			}), 0, 2).Draw(r, "keyframes"),
		}
	})
	segments := mostly(rapid.SliceOfN(segment, 0, 3), rapid.Just[[]domain.Segment](nil))
	rapid.Check(t, func(r *rapid.T) {
		var e domain.Event
		switch rapid.IntRange(0, 2).Draw(r, "event") {
		case 0:
			e = domain.RenditionProduced{
				Attempt: int(integer.Draw(r, "attempt")), Name: text.Draw(r, "name"), Width: 16, Height: int(integer.Draw(r, "height")),
				FrameRate: domain.Rational{Num: 25, Den: int(integer.Draw(r, "den"))}, Codecs: text.Draw(r, "codecs"),
				AverageBandwidth: integer.Draw(r, "average"), Bandwidth: integer.Draw(r, "bandwidth"),
				Bytes: integer.Draw(r, "bytes"), Duration: number.Draw(r, "duration"),
			}
		case 1:
			e = domain.AudioTranscoded{
				Attempt: int(integer.Draw(r, "attempt")), Part: rapid.IntRange(0, 9).Draw(r, "part"), Track: rapid.IntRange(0, 2).Draw(r, "track"), Codecs: text.Draw(r, "codecs"),
				Segments: segments.Draw(r, "segments"), Final: rapid.Bool().Draw(r, "final"),
			}
		default:
			e = domain.ChunkTranscoded{
				Attempt: rapid.IntRange(0, 9).Draw(r, "attempt"), Chunk: int(integer.Draw(r, "chunk")),
				Renditions: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) domain.RenditionChunk {
					return domain.RenditionChunk{Name: text.Draw(r, "name"), Codecs: text.Draw(r, "codecs"), Segments: segments.Draw(r, "segments")}
				}), 0, 2).Draw(r, "renditions"),
			}
		}
		eventType, data, err := domain.EncodeEvent(e)
		if err != nil {
			r.Fatal(err)
		}
		meta := domain.Meta{Actor: text.Draw(r, "actor"), Correlation: text.Draw(r, "correlation"), Causation: text.Draw(r, "causation"), Request: text.Draw(r, "request")}
		metaData, err := json.Marshal(meta)
		if err != nil {
			r.Fatal(err)
		}
		sameAsEncodingJSON(r, eventType, data)
		sameMetaAsEncodingJSON(r, metaData)
		for range 50 { // and after small damage
			piece := rapid.SampledFrom([]string{"", "0", "1", ",", " ", `"`, "]", "}", ".", "-", "e1", "null", "[]", "99999999999999999999", "\\n", "\x1f", "\x7f", "\xff", "é"}).Draw(r, "piece")
			cut := rapid.IntRange(0, 1).Draw(r, "cut")
			damaged := func(data []byte) []byte {
				at := rapid.IntRange(0, len(data)-1).Draw(r, "at")
				return slices.Concat(data[:at], []byte(piece), data[at+cut:])
			}
			sameAsEncodingJSON(r, eventType, damaged(data))
			sameMetaAsEncodingJSON(r, damaged(metaData))
		}
	})
}

// mostly draws a hundred times from often for each time from seldom.
func mostly[T any](often, seldom *rapid.Generator[T]) *rapid.Generator[T] {
	return rapid.Custom(func(r *rapid.T) T {
		if rapid.IntRange(0, 100).Draw(r, "which") == 100 {
			return seldom.Draw(r, "seldom")
		}
		return often.Draw(r, "often")
	})
}

func sameAsEncodingJSON(r rapid.TB, eventType string, data []byte) {
	var want domain.Event
	var wantErr error
	switch eventType {
	case "video.chunk_transcoded.v1":
		want, wantErr = byJSON[domain.ChunkTranscoded](data)
	case "video.audio_transcoded.v1", "video.audio_transcoded.v2":
		want, wantErr = byJSON[domain.AudioTranscoded](data)
	default:
		want, wantErr = byJSON[domain.RenditionProduced](data)
	}
	got, err := domain.DecodeEvent(eventType, data)
	if (err == nil) != (wantErr == nil) || (err == nil && !reflect.DeepEqual(got, want)) {
		r.Fatalf("%s\ngives %+v, %v\nwant  %+v, %v", data, got, err, want, wantErr)
	}
}

func sameMetaAsEncodingJSON(r rapid.TB, data []byte) {
	var want domain.Meta
	wantErr := json.Unmarshal(data, &want)
	got, err := domain.DecodeMeta(data)
	if (err == nil) != (wantErr == nil) || (err == nil && got != want) {
		r.Fatalf("%s\ngives %+v, %v\nwant  %+v, %v", data, got, err, want, wantErr)
	}
}

// FuzzReports looks for data that reading by hand takes for something else than encoding/json does.
func FuzzReports(f *testing.F) {
	types := []string{"video.chunk_transcoded.v1", "video.audio_transcoded.v1", "video.audio_transcoded.v2", "video.rendition_produced.v1"}
	for _, eventType := range types {
		sample, err := os.ReadFile(filepath.Join("testdata", "events", eventType+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
		var compact bytes.Buffer
		if err := json.Compact(&compact, sample); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	f.Add([]byte(`{"actor":"a","correlation":"b","causation":"c","request":"d"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, eventType := range types {
			sameAsEncodingJSON(t, eventType, data)
		}
		sameMetaAsEncodingJSON(t, data)
	})
}

func byJSON[E domain.Event](data []byte) (domain.Event, error) {
	var e E
	err := json.Unmarshal(data, &e)
	return e, err
}

// BenchmarkDecodeChunk shows what reading by hand is for: "of_json" is its speed as a multiple of that of encoding/json.
func BenchmarkDecodeChunk(b *testing.B) {
	chunk := domain.ChunkTranscoded{Attempt: 1}
	blob := domain.Blob{
		Key: "media/0190b0a0-0001-7001-8a3c-0123456789ab/a1/1-0190b0a0/1080p/00001.m4s", Bytes: 812_345,
		SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	}
	for _, rung := range domain.Ladder(1920, 1080) {
		c := domain.RenditionChunk{Name: rung.Name, Init: blob, Codecs: "avc1.640028"}
		for range 4 {
			c.Segments = append(c.Segments, domain.Segment{
				Blob: blob, Duration: 4, Keyframes: []domain.Keyframe{{Offset: 812, Length: 40_000}, {Offset: 400_812, Length: 40_000, Time: 2}},
			})
		}
		chunk.Renditions = append(chunk.Renditions, c)
	}
	eventType, data, err := domain.EncodeEvent(chunk)
	if err != nil {
		b.Fatal(err)
	}
	var byHand, byJSON time.Duration
	for range b.N {
		start := time.Now()
		if _, err := domain.DecodeEvent(eventType, data); err != nil {
			b.Fatal(err)
		}
		byHand += time.Since(start)
		start = time.Now()
		var e domain.ChunkTranscoded
		if err := json.Unmarshal(data, &e); err != nil {
			b.Fatal(err)
		}
		byJSON += time.Since(start)
	}
	b.ReportMetric(byJSON.Seconds()/byHand.Seconds(), "of_json")
	b.ReportMetric(float64(b.N*len(data))/1e6/byHand.Seconds(), "hand_MB/s")
}
