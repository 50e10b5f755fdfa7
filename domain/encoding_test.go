package domain_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

func TestAVideosOwnEncodingComesBeforeTheSettings(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	settings := domain.Encoding{Profile: domain.Small, Codecs: []domain.Codec{domain.AVC, domain.HEVC}, Remux: domain.RemuxNever, Ladder: domain.LadderFixed, AudioOnly: &yes}
	for name, c := range map[string]struct{ own, want domain.Encoding }{
		"nothing":    {domain.Encoding{}, settings},
		"everything": {domain.Encoding{domain.Fast, []domain.Codec{domain.AVC}, domain.RemuxAuto, domain.LadderAuto, &no}, domain.Encoding{domain.Fast, []domain.Codec{domain.AVC}, domain.RemuxAuto, domain.LadderAuto, &no}},
		"some":       {domain.Encoding{Profile: domain.Fast}, domain.Encoding{domain.Fast, settings.Codecs, domain.RemuxNever, domain.LadderFixed, &yes}},
	} {
		if diff := cmp.Diff(c.want, c.own.Or(settings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryCodecHasALadderOfItsOwn(t *testing.T) {
	t.Parallel()
	s := remuxSource(400, 4e6, every(50, 400)...)
	names := func(e domain.Encoding) (names []string) {
		for _, r := range e.Plan(s).Rungs {
			names = append(names, r.Name)
		}
		return names
	}
	for name, c := range map[string]struct {
		encoding domain.Encoding
		want     []string
	}{
		"none named":          {domain.Encoding{}, []string{"source", "720p", "480p", "360p", "240p"}},
		"never remuxed":       {domain.Encoding{Remux: domain.RemuxNever}, []string{"1080p", "720p", "480p", "360p", "240p"}},
		"with HEVC":           {domain.Encoding{Codecs: []domain.Codec{domain.AVC, domain.HEVC}}, []string{"source", "720p", "480p", "360p", "240p", "720p-hevc", "480p-hevc", "360p-hevc", "240p-hevc"}},
		"AV1 on its own grid": {domain.Encoding{Codecs: []domain.Codec{domain.AVC, domain.AV1}}, []string{"1080p", "720p", "480p", "360p", "240p", "1080p-av1", "720p-av1", "480p-av1", "360p-av1", "240p-av1"}},
	} {
		if diff := cmp.Diff(c.want, names(c.encoding)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if p := (domain.Encoding{AudioOnly: new(true)}).Plan(s); p.AudioOnly {
		t.Error("a source without sound has it without pictures")
	}
}

func TestBadEncodingsNameTheirFields(t *testing.T) {
	t.Parallel()
	for field, e := range map[string]domain.Encoding{
		"encoding.profile": {Profile: "best"},
		"encoding.remux":   {Remux: "always"},
		"encoding.ladder":  {Ladder: "short"},
		"encoding.codecs":  {Codecs: []domain.Codec{domain.HEVC}},
	} {
		_, err := e.Clean()
		var bad *domain.Invalid
		if !errors.As(err, &bad) || len(bad.Fields) != 1 || bad.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	e, err := domain.Encoding{Codecs: []domain.Codec{domain.AV1, domain.AVC, domain.AV1}}.Clean()
	if diff := cmp.Diff([]domain.Codec{domain.AVC, domain.AV1}, e.Codecs); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}
