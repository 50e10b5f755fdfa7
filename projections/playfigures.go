package projections

import "time"

// PlayFigures are the figures of views. The zero value is that of no view.
type PlayFigures struct {
	Views     int           // that showed a picture
	Watched   time.Duration // see PlayTimes
	Stalled   time.Duration
	Stalls    int
	Ended     int               // views that came to the end
	Completed int               // views that played nine tenths of the video
	Errors    map[PlayError]int // views that were ended by an error, whether or not they showed a picture
	Parts     [PlayParts]int    // views that played some of each part

	startups []time.Duration
	viewers  map[int64]bool
}

// Add counts a view.
func (f *PlayFigures) Add(p Play) {
	f.begin(p)
	if p.Startup != nil {
		f.startups = append(f.startups, p.Startup.Took)
	}
	for _, t := range p.Times() {
		f.watch(t)
	}
}

// begin counts what is not told by rendition.
func (f *PlayFigures) begin(p Play) {
	if p.Error != "" {
		if f.Errors == nil {
			f.Errors = map[PlayError]int{}
		}
		f.Errors[p.Error]++
	}
	if !p.Started {
		return
	}
	f.Views++
	if f.viewers == nil {
		f.viewers = map[int64]bool{}
	}
	f.viewers[p.Viewer] = true
	if p.Ended {
		f.Ended++
	}
	if p.Complete() {
		f.Completed++
	}
	for n := range f.Parts {
		if p.Parts&(1<<n) != 0 {
			f.Parts[n]++
		}
	}
}

func (f *PlayFigures) watch(t PlayTimes) {
	f.Watched += t.Watched
	f.Stalled += t.Stalled
	f.Stalls += t.Stalls
}

// Viewers is how many different viewers there were, each counted once a day: who comes again on another day is somebody
// else.
func (f *PlayFigures) Viewers() int { return len(f.viewers) }

// Startup is the quantile of how long views waited for their first picture; 0 where none has told.
func (f *PlayFigures) Startup(percent int) time.Duration { return quantile(f.startups, percent) }

// RebufferRatio is the share of the time that was spent waiting: of what was watched and what was stalled together.
func (f *PlayFigures) RebufferRatio() float64 {
	if all := f.Watched + f.Stalled; all > 0 {
		return f.Stalled.Seconds() / all.Seconds()
	}
	return 0
}

// Groups are figures of views by something that each view has one of, or several.
type Groups map[string]*PlayFigures

// AddTo counts a view in a group.
func (g Groups) AddTo(name string, p Play) { g.of(name).Add(p) }

// AddByRendition counts a view in the group of each rendition that it has played, with its times there. The startup counts
// where it was.
func (g Groups) AddByRendition(p Play) {
	times := p.Times()
	for name, t := range times {
		f := g.of(name)
		f.begin(p)
		f.watch(t)
	}
	if s := p.Startup; s != nil {
		f := g.of(s.Rendition)
		f.startups = append(f.startups, s.Took)
		if _, played := times[s.Rendition]; !played {
			f.begin(p)
		}
	}
}

func (g Groups) of(name string) *PlayFigures {
	f := g[name]
	if f == nil {
		f = &PlayFigures{}
		g[name] = f
	}
	return f
}
