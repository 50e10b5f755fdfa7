package projections

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Play is what is known of one view: somebody's playing of one video, from the first picture until the page is left. Players
// tell of it in beacons, which carry running totals, never differences. So what is known only grows, and Join puts any
// two states of it together: beacons may come twice, late or in any order, and one that was lost is made up for by the next.
type Play struct {
	Video domain.VideoID `json:"video"`
	View  string         `json:"view"` // the player's own name of it; unique with Video
	// First and Last are when the server got the first and the last beacon.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Viewer stands for somebody on the day of First, and cannot be led back to anybody once the salt of that day is gone;
	// see Plays. Country is that of the first beacon, "" where it is not known.
	Viewer    int64                `json:"viewer"`
	Country   string               `json:"country,omitempty"`
	Started   bool                 `json:"started,omitempty"` // a picture was seen: it counts as a view
	Ended     bool                 `json:"ended,omitempty"`   // it came to the end of the video
	Startup   *Startup             `json:"startup,omitempty"`
	Error     PlayError            `json:"error,omitempty"` // what ended it; the first in the alphabet of several
	Parts     uint64               `json:"parts,omitempty"` // bit n: some of the n-th part of the video was played, see PartsOf
	Qualities map[string]PlayTimes `json:"qualities,omitempty"`
}

// Startup is how long somebody waited for the first picture, and the rendition that it was of.
type Startup struct {
	Took      time.Duration `json:"took"`
	Rendition string        `json:"rendition"`
}

// PlayTimes are running totals of a view while it plays one rendition.
type PlayTimes struct {
	Watched time.Duration `json:"watched,omitempty"` // while the picture moved, on the viewer's clock
	Stalled time.Duration `json:"stalled,omitempty"` // while it stood still and should not have
	Stalls  int           `json:"stalls,omitempty"`
}

// PlayError is what ends a view before its time.
type PlayError string

// The errors of players.
const (
	PlayErrorNetwork     PlayError = "network"     // something could not be loaded
	PlayErrorDecode      PlayError = "decode"      // something was loaded and could not be played
	PlayErrorUnsupported PlayError = "unsupported" // the player cannot play this at all
	PlayErrorOther       PlayError = "other"
)

// PlayParts is how many parts of the same length the completion curve divides a video into.
const PlayParts = 50

// PartsOf returns the parts of a video that playing it from one moment to another touches, all in seconds. It is 0 for
// a length that is not known.
func PartsOf(from, to, length float64) (parts uint64) {
	if length <= 0 || to <= from || from >= length {
		return 0
	}
	first := int(from / length * PlayParts)
	end := int(math.Ceil(min(to, length) / length * PlayParts))
	for n := first; n < end && n < PlayParts; n++ {
		parts |= 1 << n
	}
	return parts
}

// Join puts together what is known of the same view. It is commutative, associative and idempotent.
func (p Play) Join(o Play) Play {
	if o.before(p) {
		p.Viewer, p.Country = o.Viewer, o.Country
	}
	if o.First.Before(p.First) {
		p.First = o.First
	}
	if o.Last.After(p.Last) {
		p.Last = o.Last
	}
	p.Started, p.Ended, p.Parts = p.Started || o.Started, p.Ended || o.Ended, p.Parts|o.Parts
	if o.Startup.before(p.Startup) {
		p.Startup = o.Startup
	}
	if p.Error == "" || (o.Error != "" && o.Error < p.Error) {
		p.Error = o.Error
	}
	if len(o.Qualities) > 0 {
		p.Qualities = maps.Clone(p.Qualities)
		if p.Qualities == nil {
			p.Qualities = map[string]PlayTimes{}
		}
		for name, more := range o.Qualities {
			have := p.Qualities[name]
			p.Qualities[name] = PlayTimes{
				max(have.Watched, more.Watched), max(have.Stalled, more.Stalled), max(have.Stalls, more.Stalls),
			}
		}
	}
	return p
}

// before says of which of two states the origin is taken.
func (p Play) before(o Play) bool {
	switch {
	case !p.First.Equal(o.First):
		return p.First.Before(o.First)
	case p.Viewer != o.Viewer:
		return p.Viewer < o.Viewer
	}
	return p.Country < o.Country
}

func (s *Startup) before(o *Startup) bool {
	switch {
	case s == nil:
		return false
	case o == nil, s.Took < o.Took:
		return true
	}
	return s.Took == o.Took && s.Rendition < o.Rendition
}

// playAllowance is how long a view may have gone on before its first beacon came.
const playAllowance = 30 * time.Second

// Times returns the times by rendition as they count: together never longer than the server saw the view go on, whatever
// the player says.
func (p Play) Times() map[string]PlayTimes {
	left := p.Last.Sub(p.First) + playAllowance
	var told time.Duration
	for _, t := range p.Qualities {
		told += t.Watched + t.Stalled
	}
	if told <= left {
		return p.Qualities
	}
	counted := make(map[string]PlayTimes, len(p.Qualities))
	take := func(d time.Duration) time.Duration {
		d = min(d, left)
		left -= d
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(p.Qualities)) {
		t := p.Qualities[name]
		counted[name] = PlayTimes{take(t.Watched), take(t.Stalled), t.Stalls}
	}
	return counted
}

// Complete says whether nine tenths of the video were played.
func (p Play) Complete() bool { return bits.OnesCount64(p.Parts) >= PlayParts*9/10 }

// JoinPlays puts together what is told of the same views.
func JoinPlays(told []Play) []Play {
	type key struct {
		video domain.VideoID
		view  string
	}
	at := make(map[key]int, len(told))
	joined := make([]Play, 0, len(told))
	for _, p := range told {
		k := key{p.Video, p.View}
		if n, ok := at[k]; ok {
			joined[n] = joined[n].Join(p)
			continue
		}
		at[k] = len(joined)
		joined = append(joined, p)
	}
	return joined
}
