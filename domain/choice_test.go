package domain_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// complexity has the rungs of a Full HD source with these likenesses and rates, in kbit/s, from 1080p down.
func complexity(likeness [5]float64, rates [5]int) domain.Complexity {
	c := domain.Complexity{Seconds: 2}
	for i, name := range []string{"1080p", "720p", "480p", "360p", "240p"} {
		c.Rungs = append(c.Rungs, domain.RungForecast{Name: name, Likeness: likeness[i], BitRate: 1000 * rates[i]})
	}
	return c
}

func lossy(c domain.Complexity, loss float64) domain.Complexity {
	c.Loss = loss
	return c
}

func names(p domain.Plan) (names []string) {
	for _, r := range p.Rungs {
		names = append(names, r.Name)
	}
	return names
}

func TestRungsThatAddNothingAreLeftOut(t *testing.T) {
	t.Parallel()
	sharp, hard := [5]float64{1, 0.98, 0.95, 0.92, 0.88}, [5]int{9000, 5000, 2500, 1600, 900}
	for name, c := range map[string]struct {
		measured domain.Complexity
		remuxed  int // bits per second of the source where it is served as it is
		want     []string
	}{
		"hard pictures":                {complexity(sharp, hard), 0, []string{"1080p", "720p", "480p", "360p", "240p"}},
		"nothing measured":             {domain.Complexity{}, 0, []string{"1080p", "720p", "480p", "360p", "240p"}},
		"half measured":                {domain.Complexity{Seconds: 1, Rungs: complexity(sharp, hard).Rungs[:3]}, 0, []string{"1080p", "720p", "480p", "360p", "240p"}},
		"no finer than 720 lines":      {complexity([5]float64{1, 0.9995, 0.96, 0.93, 0.9}, hard), 0, []string{"720p", "480p", "360p", "240p"}},
		"no finer than 360 lines":      {complexity([5]float64{1, 0.9999, 0.9998, 0.999, 0.95}, hard), 0, []string{"480p", "360p", "240p"}},
		"flat":                         {complexity([5]float64{1, 1, 1, 1, 1}, [5]int{30, 20, 10, 8, 5}), 0, []string{"480p"}},
		"easy below":                   {complexity(sharp, [5]int{1500, 900, 500, 350, 200}), 0, []string{"1080p", "720p", "480p", "360p"}},
		"slides":                       {complexity(sharp, [5]int{500, 300, 200, 150, 80}), 0, []string{"1080p", "720p"}},
		"a still":                      {complexity(sharp, [5]int{90, 60, 40, 30, 20}), 0, []string{"1080p"}},
		"near each other":              {complexity(sharp, [5]int{1500, 1200, 800, 600, 400}), 0, []string{"1080p", "720p", "480p", "360p"}},
		"remuxed":                      {complexity(sharp, hard), 4e6, []string{"source", "720p", "480p", "360p", "240p"}},
		"remuxed, easy":                {complexity(sharp, [5]int{1500, 1000, 600, 390, 200}), 4e6, []string{"source", "720p", "480p", "360p"}},
		"remuxed, near the next":       {complexity(sharp, [5]int{1500, 1000, 600, 390, 200}), 900e3, []string{"source", "480p", "360p"}},
		"remuxed, lighter than any":    {complexity(sharp, [5]int{500, 300, 200, 150, 80}), 300e3, []string{"source", "720p"}},
		"remuxed, no finer than small": {complexity([5]float64{1, 0.9999, 0.9998, 0.95, 0.9}, hard), 4e6, []string{"source", "480p", "360p", "240p"}},
		"noise that hides the size":    {lossy(complexity([5]float64{1, 0.9972, 0.96, 0.93, 0.9}, hard), 0.026), 0, []string{"720p", "480p", "360p", "240p"}},
		"detail that is seen":          {lossy(complexity([5]float64{1, 0.9972, 0.96, 0.93, 0.9}, hard), 0.011), 0, []string{"1080p", "720p", "480p", "360p", "240p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := remuxSource(400, c.remuxed, every(50, 400)...)
			if c.remuxed == 0 {
				source.Remux = nil
			}
			e := domain.Encoding{Ladder: domain.LadderMeasured, Codecs: []domain.Codec{domain.AVC, domain.HEVC}}
			open := e.Plan(source)
			if !open.Open {
				t.Fatal("nothing is to be measured")
			}
			plan := open.Choose(c.measured)
			want := slices.Clone(c.want)
			for _, name := range c.want {
				if name != domain.RemuxName {
					want = append(want, name+"-hevc")
				}
			}
			if diff := cmp.Diff(want, names(plan)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if plan.Open || plan.Complexity == nil {
				t.Error("the plan is still open")
			}
			for _, d := range plan.Dropped {
				if d.Reason == "" || slices.Contains(c.want, d.Name) {
					t.Errorf("dropped: %+v", d)
				}
			}
			if dropped, missing := len(plan.Dropped), (len(open.Rungs)-len(plan.Rungs))/2; dropped != missing {
				t.Errorf("%d rungs are missing, %d with a reason", missing, dropped)
			}
		})
	}
}

// Whatever is measured, the ladder stays a ladder: some of its rungs in their order, the source's own pictures among them,
// and one that is encoded.
func TestSomeRungIsAlwaysLeft(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var likeness [5]float64
		var rates [5]int
		for i := range likeness {
			likeness[i], rates[i] = 0.99+0.011*rng.Float64(), rng.IntN(1+rng.IntN(8000))
		}
		source := remuxSource(400, rng.IntN(9e6), every(50, 400)...)
		if rng.IntN(2) == 0 {
			source.Remux = nil
		}
		open := domain.Encoding{Ladder: domain.LadderMeasured}.Plan(source)
		plan := open.Choose(complexity(likeness, rates))
		if len(plan.Encoded()) == 0 || (plan.Remuxed() != nil) != (open.Remuxed() != nil) {
			t.Fatalf("%v, %v: %v", likeness, rates, names(plan))
		}
		at := -1
		for _, name := range names(plan) {
			next := slices.Index(names(open), name)
			if next <= at {
				t.Fatalf("%v, %v: %v", likeness, rates, names(plan))
			}
			at = next
		}
		if diff := cmp.Diff(open.Chunks, plan.Chunks); diff != "" {
			t.Fatalf("other chunks than were promised (-open +chosen):\n%s", diff)
		}
	}
}

func TestOnlyALadderOfSomeRungsIsMeasured(t *testing.T) {
	t.Parallel()
	small := domain.SourceInfo{Width: 320, Height: 180, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 100}
	if (domain.Encoding{Ladder: domain.LadderMeasured}).Plan(small).Open {
		t.Error("one rung is to be chosen from")
	}
	large := remuxSource(400, 4e6, every(50, 400)...)
	encoded := large
	encoded.Remux = nil
	auto := domain.Encoding{Ladder: domain.LadderAuto}
	if !auto.Plan(large).Open || auto.Plan(encoded).Open {
		t.Error("auto measures where somebody waits, or not where nobody does")
	}
	for _, e := range []domain.Encoding{{}, {Ladder: domain.LadderFixed}} {
		if e.Plan(large).Open {
			t.Errorf("%+v is to be measured", e)
		}
	}
}

func TestAPlanIsClosedOnce(t *testing.T) {
	t.Parallel()
	source := remuxSource(400, 4e6, every(50, 400)...)
	source.Remux, source.Audio = nil, &domain.AudioInfo{Codec: "aac", Channels: 2, SampleRate: 48_000}
	v := domain.LoadVideo([]domain.Recorded{
		{Version: 1, Event: domain.VideoCreated{}},
		{Version: 2, Event: domain.VideoUploaded{Attempt: 1}},
		{Version: 3, Event: domain.SourceInspected{Attempt: 1, Source: source}},
		{Version: 4, Event: domain.TranscodePlanned{Attempt: 1, Plan: domain.Encoding{Ladder: domain.LadderMeasured}.Plan(source)}},
	})
	v = v.Evolve(domain.Recorded{Version: 5, Event: domain.AudioTranscoded{Attempt: 1, Segments: make([]domain.Segment, 3)}})
	if v.NeedsChunk(1, 0) == nil {
		t.Error("a chunk is wanted before the rungs are chosen")
	}
	events, err := v.ChooseRungs(1, complexity([5]float64{1, 0.9999, 0.96, 0.9, 0.9}, [5]int{4000, 2000, 1000, 600, 300}))
	if err != nil || len(events) != 1 {
		t.Fatalf("%v, %v", events, err)
	}
	v = v.Evolve(domain.Recorded{Version: 6, Event: events[0]})
	if diff := cmp.Diff([]string{"720p", "480p", "360p", "240p"}, names(*v.Run.Plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := v.NeedsChunk(1, 0); err != nil {
		t.Error(err)
	}
	if v.Run.Audio[0].Segments != 3 {
		t.Errorf("%d segments of sound, 3 were made before the rungs were chosen", v.Run.Audio[0].Segments)
	}
	if _, err := v.ChooseRungs(1, domain.Complexity{}); err == nil {
		t.Error("the rungs were chosen twice")
	}
}

func TestAutoMeasuresWhatCanBeWatchedMeanwhile(t *testing.T) {
	t.Parallel()
	source := remuxSource(400, 4e6, every(50, 400)...)
	source.Remux = nil
	history := []domain.Recorded{
		{Version: 1, Event: domain.VideoCreated{}},
		{Version: 2, Event: domain.VideoUploaded{Attempt: 1}},
		{Version: 3, Event: domain.SourceInspected{Attempt: 1, Source: source}},
	}
	again := append(history[:3:3], []domain.Recorded{
		{Version: 4, Event: domain.RenditionProduced{Attempt: 1}},
		{Version: 5, Event: domain.TranscodeRequested{Attempt: 2}},
		{Version: 6, Event: domain.SourceInspected{Attempt: 2, Source: source}},
	}...)
	over := slices.Clone(again) // what is there would not be taken over into other rungs
	over[4].Event = domain.TranscodeRequested{Attempt: 2, TakesOver: true}
	for i, c := range []struct {
		events  []domain.Recorded
		attempt int
		open    bool
	}{{history, 1, false}, {again, 2, true}, {over, 2, false}} {
		planned, err := domain.LoadVideo(c.events).PlanTranscode(c.attempt, domain.Encoding{Ladder: domain.LadderAuto})
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := planned[0].(domain.TranscodePlanned); !ok || e.Plan.Open != c.open {
			t.Errorf("%d: %+v", i, planned[0])
		}
	}
}
