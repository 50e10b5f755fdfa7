package sqlite_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// library makes videos as a real library has them, the same ones each time: texts of words that are as unevenly
// common as words are (Zipf's law), and for each video the events that a clip of a minute in Full HD leads to.
type library struct {
	random *rand.Rand
	zipf   *rand.Zipf
	words  []string // the most common first
	info   domain.SourceInfo
	plan   domain.Plan
	at     time.Time
	videos int
}

const vocabulary = 20_000

func newLibrary() *library {
	l := &library{random: rand.New(rand.NewPCG(1, 2)), at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.zipf = rand.NewZipf(l.random, 1.1, 4, vocabulary-1)
	known := map[string]bool{}
	for len(l.words) < vocabulary {
		var word strings.Builder
		for range 1 + l.random.IntN(2) + len(l.words)*3/vocabulary { // common words are short ones
			word.WriteByte("bcdfghjklmnprstvwz"[l.random.IntN(18)])
			word.WriteByte("aeiou"[l.random.IntN(5)])
			if l.random.IntN(3) == 0 {
				word.WriteByte("lnrst"[l.random.IntN(5)])
			}
		}
		if w := word.String(); !known[w] {
			known[w] = true
			l.words = append(l.words, w)
		}
	}
	l.info = domain.SourceInfo{
		Container: "mp4", VideoCodec: "h264", PixelFormat: "yuv420p", Width: 1920, Height: 1080,
		FrameRate: domain.Rational{Num: 25, Den: 1}, Transfer: domain.SDR, Duration: 62.28, Frames: 1557,
		Audio: &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000, Language: "en"},
	}
	l.plan = domain.PlanTranscode(l.info)
	return l
}

func (l *library) text(words int) string {
	text := make([]string, words)
	for i := range text {
		text[i] = l.words[l.zipf.Uint64()]
	}
	return strings.Join(text, " ")
}

func (l *library) details() domain.Details {
	d := domain.Details{
		Title: l.text(3 + l.random.IntN(6)), Description: l.text(10+l.random.IntN(60)) + l.closing(), Visibility: domain.Public,
		Metadata: map[string]string{"course": strconv.Itoa(l.random.IntN(300)), "speaker": l.words[l.random.IntN(2000)]},
	}
	for i, n := 0, 1+l.random.IntN(4); i < n; i++ {
		d.Tags = append(d.Tags, l.words[l.zipf.Uint64()/20+uint64(i)*1000])
	}
	return d
}

// closing is what most descriptions end with: words that are common there and in no title.
func (l *library) closing() string {
	if l.random.IntN(3) == 0 {
		return ""
	}
	return " Subscribe and follow for more videos like this. Licensed under Creative Commons."
}

func (l *library) blob(key string, bytes int64) domain.Blob {
	var sum [32]byte
	for i := range 4 {
		binary.LittleEndian.PutUint64(sum[8*i:], l.random.Uint64())
	}
	return domain.Blob{Key: key, Bytes: bytes + l.random.Int64N(bytes), SHA256: hex.EncodeToString(sum[:])}
}

func (l *library) segments(prefix string, from, n int, video bool) []domain.Segment {
	segments := make([]domain.Segment, n)
	for i := range segments {
		segments[i] = domain.Segment{Blob: l.blob(fmt.Sprintf("%s/%05d.m4s", prefix, from+i), 900_000), Duration: 4}
		if video {
			segments[i].Keyframes = []domain.Keyframe{
				{Offset: 812, Length: 40_000 + l.random.Int64N(9999)},
				{Offset: 400_000 + l.random.Int64N(99_999), Length: 40_000 + l.random.Int64N(9999), Time: 2},
			}
		}
	}
	return segments
}

// life returns the commits of one video: 20 events.
func (l *library) life() []domain.Commit {
	l.videos++
	id := fmt.Sprintf("0190b0a0-%04x-7%03x-8%03x-%012x",
		l.videos>>12, l.videos&0xfff, l.random.IntN(0x1000), l.random.Int64N(1<<48))
	var life []domain.Commit
	version := 0
	add := func(events ...domain.Event) {
		life = append(life, domain.Commit{
			ID: fmt.Sprintf("%s-%d", id, version), Stream: id, Expected: version, Events: events,
			Meta: domain.Meta{Actor: "worker", Correlation: id, Causation: "1234567"},
		})
		version += len(events)
	}
	details := l.details()
	add(domain.VideoCreated{Owner: "local", Details: details, Publish: domain.PublishAuto, PlaybackPolicy: domain.PlaybackPublic})
	add(domain.VideoUploaded{Attempt: 1, Filename: "clip.mp4", Source: l.blob("sources/"+id+"/1", 26_000_000)})
	add(domain.SourceInspected{Attempt: 1, Source: l.info})
	add(domain.TranscodePlanned{Attempt: 1, Plan: l.plan})
	details.Title = l.text(5)
	add(domain.VideoDetailsChanged{Details: details})
	prefix := fmt.Sprintf("media/%s/a1/", id)
	audio := domain.AudioTranscoded{Attempt: 1, Init: l.blob(prefix+"audio/init.mp4", 700), Codecs: "mp4a.40.2"}
	segment := 0
	for i, c := range l.plan.Chunks {
		n := l.plan.Segments(c)
		if i < 3 { // the audio comes in three parts
			audio.Part, audio.Segments, audio.Final = i, l.segments(prefix+"audio", i*8, 1+i*7-i/2*7, false), i == 2
			add(audio)
		}
		chunk := domain.ChunkTranscoded{Attempt: 1, Chunk: i}
		for _, r := range l.plan.Rungs {
			chunk.Renditions = append(chunk.Renditions, domain.RenditionChunk{
				Name: r.Name, Init: l.blob(prefix+r.Name+"/init.mp4", 800), Codecs: "avc1.640028",
				Segments: l.segments(prefix+r.Name, segment, n, true),
			})
		}
		segment += n
		events := []domain.Event{chunk}
		if i == 1 {
			events = append(events, domain.PosterProduced{Attempt: 1, Image: l.blob(prefix+"poster.jpg", 90_000), Width: 1280, Height: 720, Time: 6})
		}
		if i == len(l.plan.Chunks)-1 {
			for _, r := range l.plan.Rungs {
				events = append(events, domain.RenditionProduced{
					Attempt: 1, Name: r.Name, Width: r.Width, Height: r.Height, FrameRate: l.plan.FrameRate, Codecs: "avc1.640028",
					AverageBandwidth: int64(r.MaxRate) * 3 / 4, Bandwidth: int64(r.MaxRate), Bytes: int64(r.MaxRate) * 6, Duration: 62.28,
				})
			}
			events = append(events, domain.VideoPublished{})
		}
		add(events...)
	}
	return life
}

// inFlight is how many videos are in work at a time: so far apart do one video's events lie.
const inFlight = 100

// commits are the lives of so many videos, in the order in which a busy server would record them.
func (l *library) commits(videos int) iter.Seq[domain.Commit] {
	return func(yield func(domain.Commit) bool) {
		var work [][]domain.Commit
		for started := 0; started < videos || len(work) > 0; {
			if started < videos && len(work) < inFlight {
				work = append(work, l.life())
				started++
			}
			i := l.random.IntN(len(work))
			c := work[i][0]
			l.at = l.at.Add(200 * time.Millisecond)
			c.Time = l.at
			if !yield(c) {
				return
			}
			if work[i] = work[i][1:]; len(work[i]) == 0 {
				work[i] = work[len(work)-1]
				work = work[:len(work)-1]
			}
		}
	}
}
