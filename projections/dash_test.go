package projections_test

import (
	"encoding/xml"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// readMPD is an MPD as another program would read it.
type readMPD struct {
	Type string `xml:"type,attr"`
	Sets []struct {
		Language        string `xml:"lang,attr"`
		Representations []struct {
			ID   string `xml:"id,attr"`
			List struct {
				Timescale int64 `xml:"timescale,attr"`
				Times     []struct {
					Start  int64 `xml:"t,attr"`
					Length int64 `xml:"d,attr"`
					Repeat int64 `xml:"r,attr"`
				} `xml:"SegmentTimeline>S"`
				URLs []struct {
					Media string `xml:"media,attr"`
				} `xml:"SegmentURL"`
			} `xml:"SegmentList"`
		} `xml:"Representation"`
	} `xml:"Period>AdaptationSet"`
}

func manifest(t *testing.T, p projections.Playback, uri func(domain.Blob) string) (string, readMPD) {
	t.Helper()
	text, err := projections.Manifest(p, uri)
	if err != nil {
		t.Fatal(err)
	}
	var read readMPD
	if err := xml.Unmarshal(text, &read); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text), read
}

// TestManifestText compares with testdata/dash. A change there is a change that players see.
func TestManifestText(t *testing.T) {
	t.Parallel()
	text, _ := manifest(t, complete(t), blobURI)
	file := filepath.Join("testdata", "dash", "complete.mpd")
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; the text is:\n%s", err, text)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestNoManifestBeforeItIsComplete(t *testing.T) {
	t.Parallel()
	if text, err := projections.Manifest(growing(t), blobURI); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "before it is complete") {
		t.Errorf("%s, %v, want ErrNotFound with the reason", text, err)
	}
}

func TestManifestWithoutAudio(t *testing.T) {
	t.Parallel()
	p := complete(t)
	p.Audio = nil
	if _, read := manifest(t, p, blobURI); len(read.Sets) != 1 || len(read.Sets[0].Representations) != 2 {
		t.Errorf("a silent video: %+v", read)
	}
}

func TestManifestHasASetForEachCodec(t *testing.T) {
	t.Parallel()
	p := complete(t)
	p.Renditions = slices.Concat(p.Renditions, p.Renditions)
	p.Renditions[2].Name, p.Renditions[2].Codecs = "720p-hevc", "hvc1.1.6.L93.B0"
	p.Renditions[3].Name, p.Renditions[3].Codecs = "240p-hevc", "hvc1.1.6.L60.B0"
	_, read := manifest(t, p, blobURI)
	var ids []string
	for _, set := range read.Sets {
		for _, r := range set.Representations {
			ids = append(ids, r.ID)
		}
		ids = append(ids, "|")
	}
	if got := strings.Join(ids, " "); got != "720p 240p | 720p-hevc 240p-hevc | audio |" {
		t.Errorf("the sets are %s", got)
	}
}

// TestManifestTimeline: lengths that are no whole ticks do not add up to a drift, and every segment has its time.
func TestManifestTimeline(t *testing.T) {
	t.Parallel()
	p := complete(t)
	const packet = 1024.0 / 44_100
	p.Audio[0].Segments = nil
	for i := range 1000 {
		p.Audio[0].Segments = append(p.Audio[0].Segments, domain.Segment{Duration: packet * float64(172+i%2)})
	}
	p.Renditions[0].Segments = nil
	for range 1000 {
		p.Renditions[0].Segments = append(p.Renditions[0].Segments, domain.Segment{Duration: 119.0 * 1001 / 30_000})
	}
	_, read := manifest(t, p, blobURI)
	for i, want := range []float64{119 * 1001 / 30.0, packet * 172_500} {
		list := read.Sets[i].Representations[0].List
		var at, segments int64
		for _, s := range list.Times {
			if s.Start != at {
				t.Fatalf("an entry begins at %d, the ones before end at %d", s.Start, at)
			}
			at += s.Length * (s.Repeat + 1)
			segments += s.Repeat + 1
		}
		if got := float64(at) / float64(list.Timescale); math.Abs(got-want) > 1e-5 || segments != 1000 || len(list.URLs) != 1000 {
			t.Errorf("%d times for %d addresses end at %f s, want 1000 that end at %f s", segments, len(list.URLs), got, want)
		}
	}
}

// TestManifestTakesAnyAddress: addresses in storage have queries, and what was read from a source must not break out.
func TestManifestTakesAnyAddress(t *testing.T) {
	t.Parallel()
	p := complete(t)
	p.Audio[0].Language = `e"n<`
	_, read := manifest(t, p, func(b domain.Blob) string { return "https://s3/" + b.Key + `?a=1&b="<` })
	if got := read.Sets[0].Representations[0].List.URLs[0].Media; !strings.HasSuffix(got, `?a=1&b="<`) {
		t.Errorf("an address came out as %q", got)
	}
	if read.Sets[1].Language != "en" {
		t.Errorf("language %q", read.Sets[1].Language)
	}
}

// TestManifestNamesCaptions: each track is a file of its own, without segments.
func TestManifestNamesCaptions(t *testing.T) {
	t.Parallel()
	p := complete(t)
	p.Captions = []domain.CaptionAdded{
		{Language: "de", Label: "A \"label\"", Name: "de-1", File: domain.Blob{Key: "media/x/a1/c/de.vtt", Bytes: 1000}},
		{Language: "de", Label: "A \"label\"", Name: "de-2", File: domain.Blob{Key: "media/x/a1/c/de2.vtt", Bytes: 10}},
	}
	text, read := manifest(t, p, blobURI)
	sets := read.Sets[len(read.Sets)-2:]
	for i, want := range []struct{ id, label string }{
		{"captions-de-1", "A 'label'"}, {"captions-de-2", "A 'label' (2)"},
	} {
		r := sets[i].Representations[0]
		if r.ID != want.id || !strings.Contains(text, "<Label>"+strings.ReplaceAll(want.label, "'", "&#39;")+"</Label>") ||
			!strings.Contains(text, "<BaseURL>"+blobURI(p.Captions[i].File)+"</BaseURL>") {
			t.Errorf("set %d is %+v in\n%s", i, sets[i], text)
		}
	}
	if strings.Count(text, "<SegmentList") != 3 {
		t.Errorf("segments of captions:\n%s", text)
	}
}
