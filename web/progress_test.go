package web_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// told is the part of a status that tells how far an encode is.
type told struct {
	ID       string
	Status   string
	Encoding struct {
		Playable bool
		Progress float64
		Encoded  float64 `json:"encoded_seconds"`
		Seconds  float64
		Left     *int `json:"eta_seconds"`
	}
}

// encodeOf are the events of a video's encode: 4 s in two chunks, in one quality, without sound.
func encodeOf(t *testing.T) (before, during []domain.Event) {
	t.Helper()
	info := domain.SourceInfo{Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 150, Duration: 6}
	plan := domain.PlanTranscode(info)
	if len(plan.Chunks) != 2 || len(plan.Rungs) != 1 {
		t.Fatalf("%+v", plan)
	}
	chunk := func(n int, seconds float64) domain.ChunkTranscoded {
		return domain.ChunkTranscoded{Attempt: 1, Chunk: n, Renditions: []domain.RenditionChunk{
			{Name: "240p", Segments: []domain.Segment{{Duration: seconds}}},
		}}
	}
	before = []domain.Event{domain.VideoCreated{}, domain.VideoUploaded{Attempt: 1}, domain.SourceInspected{Attempt: 1, Source: info}}
	return before, []domain.Event{
		domain.TranscodePlanned{Attempt: 1, Plan: plan},
		chunk(0, 2),
		domain.PosterProduced{Attempt: 1},
		chunk(1, 4),
		domain.RenditionProduced{Attempt: 1, Name: "240p", Duration: 6},
	}
}

// Who asks for it is told of an encode as it goes on, by what the events say up to then, and of no other video.
func TestFollowersAreToldHowFarVideosAre(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	before, during := encodeOf(t)
	for _, e := range before {
		f.append(t, videoOne, e)
		f.append(t, videoTwo, e)
	}
	client := f.follow(t, "type=progress&video="+videoOne, "")
	both := f.follow(t, "type=progress&type=video.poster_*", "")
	events := f.follow(t, "", "")
	seconds, last := 0, -1.0
	for _, e := range during {
		seconds += 10
		f.appendAt(t, videoTwo, e, time.Unix(int64(seconds), 0))
		f.appendAt(t, videoOne, e, time.Unix(int64(seconds), 0))
		if _, ok := e.(domain.PosterProduced); ok {
			continue
		}
		m := client.event() // before the next event is there: it is of this one
		var now told
		if err := json.Unmarshal([]byte(m["data"]), &now); err != nil || m["event"] != "progress" || now.ID != videoOne {
			t.Fatalf("%v, %v", m, err)
		}
		if _, has := m["id"]; has {
			t.Errorf("it has an id, as if one could go on after it: %v", m)
		}
		if now.Encoding.Progress < last {
			t.Errorf("back from %g to %g", last, now.Encoding.Progress)
		}
		last = now.Encoding.Progress
		if diff := cmp.Diff(6.0, now.Encoding.Seconds); diff != "" {
			t.Errorf("seconds: %s", diff)
		}
		if now.Encoding.Encoded == 2 && (now.Encoding.Left == nil || *now.Encoding.Left != 20) { // 2 s took 10
			t.Errorf("after 2 of 6 s, which took 10 s: %s", m["data"])
		}
		if last == 1 && (now.Status != "ready" || now.Encoding.Encoded != 6) {
			t.Errorf("at the end: %s", m["data"])
		}
	}
	if last != 1 {
		t.Errorf("at the end the progress is %g", last)
	}
	// Events and progress in one feed: each event once, with its id.
	posters, ready := 0, 0
	for posters < 2 || ready < 2 {
		m := both.event()
		var now told
		if m["event"] != "progress" {
			posters++
			continue
		}
		if err := json.Unmarshal([]byte(m["data"]), &now); err != nil {
			t.Fatal(err)
		}
		if now.Encoding.Progress == 1 {
			ready++
		}
	}
	for range 2 * len(during) { // who does not ask gets events only
		if m := events.event(); m["event"] == "progress" || m["id"] == "" {
			t.Errorf("%v", m)
		}
	}
}

// While a video that can be watched is encoded again, its status tells of that encode, and the video of what is served.
func TestTheStatusTellsOfTheEncodeUnderWay(t *testing.T) {
	t.Parallel()
	f := newFollowed(t, nil)
	before, during := encodeOf(t)
	for _, e := range append(before, during...) {
		f.append(t, videoOne, e)
	}
	again := during[0].(domain.TranscodePlanned)
	again.Attempt = 2
	again.Plan.Rungs = append(slices.Clone(again.Plan.Rungs), domain.Rung{Name: "240p-hevc", Width: 426, Height: 240, Codec: domain.HEVC})
	client := f.follow(t, "type=progress&video="+videoOne, "")
	for _, c := range []struct {
		event domain.Event
		want  []string
	}{
		{domain.TranscodeRequested{Attempt: 2}, []string{"240p encoded"}},
		{again, []string{"240p waiting", "240p-hevc waiting"}},
		{domain.ChunkTranscoded{Attempt: 2, Renditions: []domain.RenditionChunk{{Name: "240p"}, {Name: "240p-hevc"}}}, []string{"240p encoding", "240p-hevc encoding"}},
		{domain.TranscodeFailed{Attempt: 2, Failure: domain.Failure{Code: domain.Internal}}, []string{"240p failed", "240p-hevc failed"}},
	} {
		f.append(t, videoOne, c.event)
		var now struct {
			Status   string
			Encoding struct {
				Qualities []struct{ Name, Status string }
			}
		}
		m := client.event()
		if err := json.Unmarshal([]byte(m["data"]), &now); err != nil || now.Status != "ready" {
			t.Fatalf("%v, %v", m, err)
		}
		var got []string
		for _, q := range now.Encoding.Qualities {
			got = append(got, q.Name+" "+q.Status)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("after %T, want against got:\n%s", c.event, diff)
		}
	}
}
