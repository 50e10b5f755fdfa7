package projections_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

func TestAStoryboardNamesATileForEachMoment(t *testing.T) {
	t.Parallel()
	p := newPlayedBack(t)
	p.given(created(domain.PublishAuto), domain.VideoUploaded{Attempt: 1})
	p.given(whole(1)[:6]...)
	if _, err := projections.Storyboard(p.playable(), "s.jpg"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("before there is one: %v", err)
	}
	p.given(whole(1)[6:]...)
	b := p.playable()
	if b.Preview == nil || b.Preview.Key != blobOf(1, "preview.webp", 9).Key {
		t.Errorf("preview %+v", b.Preview)
	}
	b.Duration = 6.5
	got, err := projections.Storyboard(b, "s.jpg")
	if err != nil {
		t.Fatal(err)
	}
	const want = `WEBVTT

00:00:00.000 --> 00:00:02.000
s.jpg#xywh=0,0,160,90

00:00:02.000 --> 00:00:04.000
s.jpg#xywh=160,0,160,90

00:00:04.000 --> 00:00:06.000
s.jpg#xywh=320,0,160,90

00:00:06.000 --> 00:00:06.500
s.jpg#xywh=0,90,160,90
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
