package projections_test

import (
	"strings"
	"testing"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestCaptionsAndChaptersAreInThePlaylists(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t)
	p.given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1}, domain.SourceInspected{Attempt: 1, Source: domain.SourceInfo{
		Chapters: []domain.Chapter{{Title: "A --> <b>", Start: 0, End: 5}, {Title: "B", Start: 5, End: 14}},
	}})
	p.given(whole(1)...)
	evil := "He said \"x\"\n#EXT-X-ENDLIST"
	p.given(
		domain.CaptionAdded{Attempt: 1, Name: "en", Language: "en", Label: evil, File: blobOf(1, "captions/00.vtt", 9)},
		domain.CaptionAdded{Attempt: 1, Name: "en-2", Language: "en", Label: evil, File: blobOf(1, "captions/01.vtt", 9)},
		domain.CaptionAdded{Language: "de", File: blobOf(1, "captions/de.vtt", 9)},
		domain.CaptionAdded{Language: "fr", File: blobOf(1, "captions/fr.vtt", 9)}, domain.CaptionRemoved{Language: "fr"},
	)
	b := p.playable()
	master := string(projections.Multivariant(b, func(name string) string { return name + ".m3u8" }))
	for _, want := range []string{
		`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="captions-de.m3u8"`,
		`NAME="He said 'x' #EXT-X-ENDLIST",LANGUAGE="en",`, `NAME="He said 'x' #EXT-X-ENDLIST (2)",LANGUAGE="en",`, `URI="captions-en-2.m3u8"`,
		`#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="chapters.json"`,
	} {
		if !strings.Contains(master, want) {
			t.Errorf("no %s in\n%s", want, master)
		}
	}
	if variants, with := strings.Count(master, "#EXT-X-STREAM-INF"), strings.Count(master, `SUBTITLES="captions"`); variants != with || strings.Contains(master, "captions-fr") {
		t.Errorf("%d of %d variants have captions:\n%s", with, variants, master)
	}
	list, err := projections.MediaPlaylist(b, "captions-en-2", func(b domain.Blob) string { return b.Key })
	if err != nil || !strings.Contains(string(list), "#EXT-X-TARGETDURATION:14\n") || !strings.Contains(string(list), "#EXTINF:14.00000,\n"+blobOf(1, "captions/01.vtt", 9).Key) {
		t.Errorf("%v\n%s", err, list)
	}
	if text, err := projections.Chapters(b); err != nil || !strings.Contains(string(text), "\n00:00:00.000 --> 00:00:05.000\nA --&gt; &lt;b&gt;\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := projections.ChaptersJSON(b); err != nil || !strings.Contains(string(text), `{"chapter":2,"start-time":5,"duration":9,"titles":[{"language":"und","title":"B"}]}`) {
		t.Errorf("%v\n%s", err, text)
	}
}
