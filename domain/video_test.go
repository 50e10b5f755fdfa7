package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

const stream = "019a0000-0000-7000-8000-000000000001"

func given(events ...domain.Event) domain.Video {
	var recorded []domain.Recorded
	for i, e := range events {
		recorded = append(recorded, domain.Recorded{
			Position: domain.Position(i + 1), Stream: stream, Version: i + 1,
			Time: time.Unix(int64(i), 0), Event: e,
		})
	}
	return domain.LoadVideo(recorded)
}

var (
	created   = domain.VideoCreated{Owner: "local", Details: domain.Details{Title: "T", Visibility: domain.Public}, Publish: domain.PublishAuto, PlaybackPolicy: domain.PlaybackPublic}
	byHand    = domain.VideoCreated{Owner: "local", Details: domain.Details{Title: "T", Visibility: domain.Public}, Publish: domain.PublishManual, PlaybackPolicy: domain.PlaybackPublic}
	uploaded  = domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Key: "sources/a", Bytes: 10, SHA256: "aa"}}
	info      = domain.SourceInfo{Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 150, Duration: 6, Audio: &domain.AudioInfo{Channels: 6}}
	inspected = domain.SourceInspected{Attempt: 1, Source: info}
	planned   = domain.TranscodePlanned{Attempt: 1, Plan: domain.PlanTranscode(info)}
	audio     = domain.AudioTranscoded{Attempt: 1, Final: true, Codecs: "mp4a.40.2", Segments: segments(4, 2)}
	rejected  = domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.NotAVideo}}
	failed    = domain.TranscodeFailed{Attempt: 1, Failure: domain.Failure{Code: domain.Internal}}
)

func segments(durations ...float64) []domain.Segment {
	var out []domain.Segment
	for _, d := range durations {
		out = append(out, domain.Segment{Blob: domain.Blob{Key: "k", Bytes: 1000}, Duration: d})
	}
	return out
}

func chunk(n int, durations ...float64) domain.ChunkTranscoded {
	return domain.ChunkTranscoded{Attempt: 1, Chunk: n, Renditions: []domain.RenditionChunk{
		{Name: "240p", Codecs: "avc1.64000d", Segments: segments(durations...)},
	}}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	ready := []domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), chunk(1, 2), produced(), domain.VideoPublished{}}
	for _, c := range []struct {
		name  string
		given []domain.Event
		when  func(domain.Video) ([]domain.Event, error)
		then  []domain.Event
		fails error
	}{
		{"a video is created once", []domain.Event{created}, func(v domain.Video) ([]domain.Event, error) { return v.Create(created) }, nil, domain.ErrConflict},
		{"an upload starts attempt 1", []domain.Event{created}, upload("aa"), []domain.Event{uploaded}, nil},
		{"the same bytes again change nothing", []domain.Event{created, uploaded}, upload("aa"), nil, nil},
		{"other bytes are refused while one source is in work", []domain.Event{created, uploaded}, upload("bb"), nil, domain.ErrNotAllowed},
		{"other bytes are refused when it is ready", ready, upload("bb"), nil, domain.ErrNotAllowed},
		{
			"after a rejection another source may come",
			[]domain.Event{created, uploaded, rejected},
			upload("bb"),
			[]domain.Event{domain.VideoUploaded{Attempt: 2, Source: domain.Blob{SHA256: "bb", Key: "sources/a", Bytes: 10}}},
			nil,
		},
		{"nothing is uploaded to a deleted video", []domain.Event{created, domain.VideoDeleted{}}, upload("aa"), nil, domain.ErrNotFound},
		{"an inspection is recorded", []domain.Event{created, uploaded}, func(v domain.Video) ([]domain.Event, error) { return v.RecordInspection(1, info) }, []domain.Event{inspected}, nil},
		{"the second inspection is superseded", []domain.Event{created, uploaded, inspected}, func(v domain.Video) ([]domain.Event, error) { return v.RecordInspection(1, info) }, nil, domain.ErrSuperseded},
		{"a plan follows an inspection", []domain.Event{created, uploaded, inspected}, func(v domain.Video) ([]domain.Event, error) { return v.PlanTranscode(1, domain.Encoding{}) }, []domain.Event{planned}, nil},
		{"a chunk that is not the last completes nothing", []domain.Event{created, uploaded, inspected, planned, audio}, record(chunk(0, 4)), []domain.Event{chunk(0, 4)}, nil},
		{"the last chunk waits for the audio", []domain.Event{created, uploaded, inspected, planned, chunk(0, 4)}, record(chunk(1, 2)), []domain.Event{chunk(1, 2)}, nil},
		{
			"the last chunk completes and publishes",
			[]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4)},
			record(chunk(1, 2)),
			[]domain.Event{chunk(1, 2), produced(), domain.VideoPublished{}},
			nil,
		},
		{"published by hand only", []domain.Event{byHand, uploaded, inspected, planned, audio, chunk(0, 4)}, record(chunk(1, 2)), []domain.Event{chunk(1, 2), produced()}, nil},
		{
			"the audio may be the last piece",
			[]domain.Event{created, uploaded, inspected, planned, chunk(1, 2), chunk(0, 4)},
			func(v domain.Video) ([]domain.Event, error) { return v.RecordAudio(audio) },
			[]domain.Event{audio, produced(), domain.VideoPublished{}},
			nil,
		},
		{"a zombie's chunk is superseded", []domain.Event{created, uploaded, inspected, planned, chunk(0, 4)}, record(chunk(0, 4)), nil, domain.ErrSuperseded},
		{"a chunk of an older attempt is superseded", append(ready, domain.TranscodeRequested{Attempt: 2}), record(chunk(0, 4)), nil, domain.ErrSuperseded},
		{"a chunk for a deleted video is superseded", []domain.Event{created, uploaded, inspected, planned, domain.VideoDeleted{}}, record(chunk(0, 4)), nil, domain.ErrSuperseded},
		{
			"an audio part out of turn is superseded",
			[]domain.Event{created, uploaded, inspected, planned},
			func(v domain.Video) ([]domain.Event, error) {
				return v.RecordAudio(domain.AudioTranscoded{Attempt: 1, Part: 1})
			}, nil, domain.ErrSuperseded,
		},
		{"a failure ends the attempt once", []domain.Event{created, uploaded, failed}, func(v domain.Video) ([]domain.Event, error) { return v.FailTranscode(1, failed.Failure) }, nil, domain.ErrSuperseded},
		{"a failed one may be tried again", []domain.Event{created, uploaded, failed}, again, []domain.Event{domain.TranscodeRequested{Attempt: 2, TakesOver: true}}, nil},
		{"a ready one is made anew", ready, again, []domain.Event{domain.TranscodeRequested{Attempt: 2}}, nil},
		{"another encoding takes over what is the same", ready, to(hevcToo), []domain.Event{domain.TranscodeRequested{Attempt: 2, Encoding: &hevcToo, TakesOver: true}}, nil},
		{
			"what was found out about the source's pictures is not tried again",
			append(ready, domain.TranscodeRequested{Attempt: 2, NoRemux: "a packet is missing"}, domain.TranscodeFailed{Attempt: 2}),
			again,
			[]domain.Event{domain.TranscodeRequested{Attempt: 3, NoRemux: "a packet is missing", TakesOver: true}},
			nil,
		},
		{
			"what does not go with what was taken over begins an attempt that takes nothing over",
			takingOver(chunkOf(0, "one release")),
			record(chunkOf(1, "another release")),
			[]domain.Event{domain.TranscodeRequested{Attempt: 3}},
			nil,
		},
		{
			"what goes with it is recorded",
			takingOver(chunkOf(0, "one release")),
			record(chunkOf(1, "one release")),
			[]domain.Event{chunkOf(1, "one release")},
			nil,
		},
		{"one in work may not", []domain.Event{created, uploaded}, again, nil, domain.ErrNotAllowed},
		{"publishing needs a ready video", []domain.Event{byHand, uploaded}, domain.Video.PublishNow, nil, domain.ErrNotAllowed},
		{"publishing twice is one publication", ready, domain.Video.PublishNow, nil, nil},
		{"unpublishing", ready, domain.Video.Unpublish, []domain.Event{domain.VideoUnpublished{}}, nil},
		{"publishing again", append(ready, domain.VideoUnpublished{}), domain.Video.PublishNow, []domain.Event{domain.VideoPublished{}}, nil},
		{"deleting", ready, domain.Video.Delete, []domain.Event{domain.VideoDeleted{}}, nil},
		{"a deleted video is not found", append(ready, domain.VideoDeleted{}), domain.Video.Delete, nil, domain.ErrNotFound},
		{"the same details are no event", []domain.Event{created}, func(v domain.Video) ([]domain.Event, error) { return v.ChangeDetails(created.Details) }, nil, nil},
		{"an empty title is refused", []domain.Event{created}, func(v domain.Video) ([]domain.Event, error) {
			return v.ChangeDetails(domain.Details{Title: " ", Visibility: domain.Public})
		}, nil, domain.ErrInvalid},
		{
			"all sound is waited for",
			[]domain.Event{created, uploaded, inspected, inThree, chunk(0, 4), chunk(1, 2), audio, sound(2)},
			recordSound(sound(1)),
			[]domain.Event{sound(1), produced(), domain.VideoPublished{}},
			nil,
		},
		{"one track of sound does not complete", []domain.Event{created, uploaded, inspected, inThree, chunk(0, 4), chunk(1, 2), audio}, recordSound(sound(1)), []domain.Event{sound(1)}, nil},
		{"parts count by track", []domain.Event{created, uploaded, inspected, inThree, sound(1)}, recordSound(sound(2)), []domain.Event{sound(2)}, nil},
		{"the same part of a track again is superseded", []domain.Event{created, uploaded, inspected, inThree, sound(1)}, recordSound(sound(1)), nil, domain.ErrSuperseded},
		{"a track that is not in the plan is superseded", []domain.Event{created, uploaded, inspected, inThree}, recordSound(sound(3)), nil, domain.ErrSuperseded},
		{
			"a track that cannot be decoded is left out",
			[]domain.Event{created, uploaded, inspected, inThree, chunk(0, 4), chunk(1, 2), audio, sound(2)},
			leaveOut(1, domain.Malformed),
			[]domain.Event{leftOut(1), produced(), domain.VideoPublished{}},
			nil,
		},
		{"also the first, where there is another", []domain.Event{created, uploaded, inspected, inThree}, leaveOut(0, domain.Malformed), []domain.Event{leftOut(0)}, nil},
		{
			"not the first where the fault may be ours",
			[]domain.Event{created, uploaded, inspected, inThree},
			leaveOut(0, domain.Internal),
			[]domain.Event{domain.TranscodeFailed{Attempt: 1, Failure: domain.Failure{Code: domain.Internal}}},
			nil,
		},
		{
			"the last track that is left fails the attempt",
			[]domain.Event{created, uploaded, inspected, inThree, leftOut(0), leftOut(2)},
			leaveOut(1, domain.Malformed),
			[]domain.Event{domain.TranscodeFailed{Attempt: 1, Failure: domain.Failure{Code: domain.Malformed}}},
			nil,
		},
		{
			"and so does the only one",
			[]domain.Event{created, uploaded, inspected, planned},
			leaveOut(0, domain.Malformed),
			[]domain.Event{domain.TranscodeFailed{Attempt: 1, Failure: domain.Failure{Code: domain.Malformed}}},
			nil,
		},
		{"a track is left out once", []domain.Event{created, uploaded, inspected, inThree, leftOut(1)}, leaveOut(1, domain.Malformed), nil, domain.ErrSuperseded},
		{"nothing more is taken of it", []domain.Event{created, uploaded, inspected, inThree, leftOut(1)}, recordSound(sound(1)), nil, domain.ErrSuperseded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.when(given(c.given...))
			if !errors.Is(err, c.fails) || (err != nil) != (c.fails != nil) {
				t.Fatalf("error %v, want %v", err, c.fails)
			}
			if diff := cmp.Diff(c.then, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// produced is what 4 s and 2 s in segments of 1,000 bytes measure.
func produced() domain.RenditionProduced {
	return domain.RenditionProduced{
		Attempt: 1, Name: "240p", Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1},
		Codecs: "avc1.64000d", AverageBandwidth: 2666, Bandwidth: 4000, Bytes: 2000, Duration: 6,
	}
}

func upload(sha string) func(domain.Video) ([]domain.Event, error) {
	return func(v domain.Video) ([]domain.Event, error) {
		return v.Upload("", domain.Blob{Key: "sources/a", Bytes: 10, SHA256: sha})
	}
}

func record(e domain.ChunkTranscoded) func(domain.Video) ([]domain.Event, error) {
	return func(v domain.Video) ([]domain.Event, error) { return v.RecordChunk(e, nil) }
}

func TestStatusFollowsTheEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		events []domain.Event
		want   domain.Status
	}{
		{[]domain.Event{created}, domain.StatusWaiting},
		{[]domain.Event{created, uploaded}, domain.StatusProcessing},
		{[]domain.Event{created, uploaded, rejected}, domain.StatusFailed},
		{[]domain.Event{created, uploaded, failed, domain.TranscodeRequested{Attempt: 2}}, domain.StatusProcessing},
		{[]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), chunk(1, 2), produced()}, domain.StatusReady},
		{[]domain.Event{created, uploaded, inspected, planned, audio, chunk(0, 4), chunk(1, 2), produced(), domain.TranscodeRequested{Attempt: 2}}, domain.StatusReady},
	} {
		if got := given(c.events...).Status(); got != c.want {
			t.Errorf("after %d events: %s, want %s", len(c.events), got, c.want)
		}
	}
}

func TestDetailsNameEveryFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := domain.Details{
		Title: strings.Repeat("é", domain.MaxTitle+1), Description: "a\x00b", Tags: []string{"ok", "", "a\nb", "\xff"},
		Metadata: map[string]string{"": "x"}, Visibility: "everybody",
	}.Clean()
	var invalid *domain.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v", err)
	}
	var fields []string
	for _, f := range invalid.Fields {
		fields = append(fields, f.Field)
	}
	want := []string{"title", "description", "tags[1]", "tags[2]", "tags[3]", "metadata", "visibility"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVideoIDsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	id, err := domain.NewVideoID()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := domain.ParseVideoID(string(id)); err != nil {
		t.Error(err)
	}
	s := string(id)
	for _, bad := range []string{
		"", "x", strings.ToUpper(s), "{" + s + "}", "urn:uuid:" + s, strings.ReplaceAll(s, "-", ""), s + "/", "../" + s,
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	} {
		if _, err := domain.ParseVideoID(bad); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("%q: %v, want not found", bad, err)
		}
	}
}

func TestFilenamesAreShownAndNeverPaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.mp4": "a.mp4", "../../etc/passwd": "passwd", `C:\x\y.mov`: "y.mov", "a\r\nb": "ab", "\xff.mp4": "\uFFFD.mp4", "-i": "-i",
	} {
		if got := domain.CleanFilename(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestTheChainNoticesAChange(t *testing.T) {
	t.Parallel()
	commit := domain.Commit{ID: "c", Stream: stream, Expected: 1, Time: time.Unix(1, 0), Events: []domain.Event{created}}
	encoded, err := commit.Encode()
	if err != nil {
		t.Fatal(err)
	}
	base := domain.ChainHash(nil, 2, commit, encoded)
	other := commit
	other.Expected = 2
	stranger := commit
	stranger.Meta.Actor = "somebody else"
	changed := []domain.EncodedEvent{{Type: encoded[0].Type, Data: append([]byte{' '}, encoded[0].Data...)}}
	for name, h := range map[string][]byte{
		"position": domain.ChainHash(nil, 3, commit, encoded),
		"version":  domain.ChainHash(nil, 2, other, encoded),
		"actor":    domain.ChainHash(nil, 2, stranger, encoded),
		"data":     domain.ChainHash(nil, 2, commit, changed),
		"previous": domain.ChainHash([]byte{1}, 2, commit, encoded),
	} {
		if string(h) == string(base) {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func again(v domain.Video) ([]domain.Event, error) { return v.RequestTranscode(nil) }

var hevcToo = domain.Encoding{Codecs: []domain.Codec{domain.AVC, domain.HEVC}}

func to(e domain.Encoding) func(domain.Video) ([]domain.Event, error) {
	return func(v domain.Video) ([]domain.Event, error) { return v.RequestTranscode(&e) }
}

// chunkOf is a chunk of the second attempt, with what identifies its initialization segment.
func chunkOf(n int, init string) domain.ChunkTranscoded {
	c := chunk(n, []float64{4, 2}[n])
	c.Attempt, c.Renditions[0].Init.SHA256 = 2, init
	return c
}

// takingOver is a video whose second attempt may take over what the first one made.
func takingOver(and ...domain.Event) []domain.Event {
	return append([]domain.Event{
		created, uploaded, inspected, planned, audio, chunk(0, 4), failed,
		domain.TranscodeRequested{Attempt: 2, TakesOver: true},
		domain.SourceInspected{Attempt: 2, Source: info},
		domain.TranscodePlanned{Attempt: 2, Plan: planned.Plan},
	}, and...)
}
