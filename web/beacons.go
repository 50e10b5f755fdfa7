package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// beaconsPath is the one address that pages of all sites may write to.
const beaconsPath = "/v1/views"

// maxBeaconBytes is a body's size. A player that sends every ten seconds needs a tenth of it.
const maxBeaconBytes = 64 << 10

type beaconsInput struct {
	Body struct {
		Video   string   `json:"video" maxLength:"36" doc:"The video's id"`
		View    string   `json:"view" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" doc:"A UUID that the player makes when the playback of a video begins; it is counted once"`
		Beacons []beacon `json:"beacons" minItems:"1" maxItems:"100" nullable:"false"`
	}

	request *http.Request
}

// beacon tells what is so by now. The totals are running ones, of this view in this rendition, so that a beacon that comes
// twice, late or not at all does no harm.
type beacon struct {
	Type      string  `json:"type" enum:"start,heartbeat,rebuffer,error,end" doc:"start: the first picture is seen; heartbeat: at least every 30 s while it plays; rebuffer: it waited and goes on; error: it cannot go on; end: the end of the video"`
	Rendition string  `json:"rendition,omitempty" maxLength:"40" doc:"What is played"`
	Startup   float64 `json:"startup,omitempty" minimum:"0" maximum:"600" doc:"Of start: seconds from the wish to play to the first picture"`
	From      float64 `json:"from,omitempty" minimum:"0" maximum:"172800" doc:"With to: a piece of the video that was played, in seconds from its beginning"`
	To        float64 `json:"to,omitempty" minimum:"0" maximum:"172800"`
	Watched   float64 `json:"watched,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that this view has played this rendition so far, on the viewer's clock"`
	Stalled   float64 `json:"stalled,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that it stood still meanwhile and should not have"`
	Stalls    int     `json:"stalls,omitempty" minimum:"0" maximum:"100000" doc:"How often that was"`
	Error     string  `json:"error,omitempty" enum:"network,decode,unsupported,other" doc:"Of error: what went wrong"`
}

// takesBeacons lets players send their JSON as text/plain, the only type that navigator.sendBeacon sends to another
// site without asking first.
func takesBeacons(o huma.Operation) huma.Operation {
	o.MaxBodyBytes = maxBeaconBytes
	o = body(o)
	o.Middlewares = append(huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humachi.Unwrap(ctx)
		if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
			r.Header.Set("Content-Type", "application/json")
		}
		next(ctx)
	}}, o.Middlewares...)
	return o
}

// Resolve notes who sends, and checks what a schema cannot say.
func (in *beaconsInput) Resolve(ctx huma.Context) []error {
	in.request, _ = humachi.Unwrap(ctx)
	var bad []error
	refuse := func(i int, message string) {
		bad = append(bad, &huma.ErrorDetail{Location: fmt.Sprintf("body.beacons[%d]", i), Message: message})
	}
	for i, b := range in.Body.Beacons {
		if b.Type == "error" && b.Error == "" {
			refuse(i, "an error says what went wrong in error")
		}
		if b.To < b.From {
			refuse(i, "to is before from")
		}
	}
	return bad
}

func (s *Server) takeBeacons(ctx context.Context, in *beaconsInput) (*struct{}, error) {
	if s.Beacons == nil || s.Plays == nil {
		return nil, newProblem(http.StatusNotFound, "this server counts no views")
	}
	id, err := domain.ParseVideoID(in.Body.Video)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	known, err := s.watchable.get(ctx, s, id, in.Body.Beacons)
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	from, country := s.origin(in.request)
	viewer, err := s.viewers.of(ctx, s.Plays, now, from, in.request.UserAgent())
	if err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	play := projections.Play{Video: id, View: in.Body.View, First: now, Last: now, Viewer: viewer, Country: country}
	for _, b := range in.Body.Beacons {
		play = play.Join(b.play(play, known))
	}
	if err := s.Beacons.Send(ctx, play); err != nil {
		return nil, s.problem(ctx, "body", err)
	}
	return nil, nil //nolint:nilnil // an answer without a body
}

// play is what a beacon says of a view.
func (b beacon) play(of projections.Play, known watchable) projections.Play {
	p := projections.Play{Video: of.Video, View: of.View, First: of.First, Last: of.Last, Viewer: of.Viewer, Country: of.Country}
	rendition := ""
	if slices.Contains(known.renditions, b.Rendition) { // other names would be somebody's own
		rendition = b.Rendition
	}
	if b.Type == "error" {
		p.Error = projections.PlayError(b.Error)
	} else {
		p.Started, p.Ended = true, b.Type == "end"
	}
	if b.Type == "start" {
		p.Startup = &projections.Startup{Took: milliseconds(b.Startup), Rendition: rendition}
	}
	p.Parts = projections.PartsOf(b.From, b.To, known.seconds)
	times := projections.PlayTimes{Watched: milliseconds(b.Watched), Stalled: milliseconds(b.Stalled), Stalls: b.Stalls}
	if times != (projections.PlayTimes{}) {
		p.Qualities = map[string]projections.PlayTimes{rendition: times}
	}
	return p
}

func milliseconds(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Truncate(time.Millisecond)
}

// watchables remembers for a moment of which videos there can be views: players send often.
type watchables struct {
	mu     sync.Mutex
	videos map[domain.VideoID]watchable
}

type watchable struct {
	renditions []string
	seconds    float64
	err        error // there is none
	asked      time.Time
}

const (
	watchableFor = 10 * time.Second
	watchableMin = time.Second // where a rendition is not known yet
	maxWatchable = 10_000
)

func (w *watchables) get(ctx context.Context, s *Server, id domain.VideoID, told []beacon) (watchable, error) {
	now := s.Now()
	w.mu.Lock()
	v, ok := w.videos[id]
	w.mu.Unlock()
	age := now.Sub(v.asked)
	strange := slices.ContainsFunc(told, func(b beacon) bool { return b.Rendition != "" && !slices.Contains(v.renditions, b.Rendition) })
	if ok && age >= 0 && (age < watchableMin || (age < watchableFor && !strange)) {
		return v, v.err
	}
	video, err := s.Catalog.Video(ctx, id)
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		return v, err
	}
	v = watchable{seconds: video.Duration, err: err, asked: now}
	for _, r := range video.Renditions {
		v.renditions = append(v.renditions, r.Name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.videos == nil || len(w.videos) >= maxWatchable {
		w.videos = map[domain.VideoID]watchable{}
	}
	w.videos[id] = v
	return v, v.err
}

// viewers names viewers without knowing them: by address and browser, keyed with a secret that is gone after its day.
type viewers struct {
	mu   sync.Mutex
	day  time.Time
	salt []byte
}

func (v *viewers) of(ctx context.Context, plays Plays, now time.Time, from netip.Addr, agent string) (int64, error) {
	day := projections.UTCDay(now)
	v.mu.Lock()
	salt, of := v.salt, v.day
	v.mu.Unlock()
	if salt == nil || !of.Equal(day) {
		var err error
		if salt, err = plays.Salt(ctx, day); err != nil {
			return 0, err
		}
		v.mu.Lock()
		v.day, v.salt = day, salt
		v.mu.Unlock()
	}
	sum := hmac.New(sha256.New, salt)
	_, _ = sum.Write(append(from.Unmap().AsSlice(), agent...))
	return int64(binary.BigEndian.Uint64(sum.Sum(nil))), nil //nolint:gosec // a name, not a number
}

// origin says where a request comes from, as the proxy before us says it in headers that the operator has named.
func (s *Server) origin(r *http.Request) (from netip.Addr, country string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	from, _ = netip.ParseAddr(host) // one that is none stands for itself
	if s.AddressHeader != "" {
		list := strings.Split(strings.Join(r.Header.Values(s.AddressHeader), ","), ",") // a proxy adds at the end
		if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			from = a
		}
	}
	if s.CountryHeader != "" {
		c := strings.ToUpper(r.Header.Get(s.CountryHeader))
		if len(c) == 2 && c[0] >= 'A' && c[0] <= 'Z' && c[1] >= 'A' && c[1] <= 'Z' {
			country = c
		}
	}
	return from, country
}
