package domain_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// fit is what a rung is encoded with.
type fit struct {
	Name    string
	MaxRate int // kbit/s
	Coarser float64
}

func fits(p domain.Plan) (fs []fit) {
	for _, r := range p.Rungs {
		fs = append(fs, fit{r.Name, r.MaxRate / 1000, r.Coarser})
	}
	return fs
}

// fullHD is an open plan, of a source whose own pictures are not served.
func fullHD(codecs ...domain.Codec) domain.Plan {
	source := remuxSource(400, 0, every(50, 400)...)
	source.Remux = nil
	return domain.Encoding{Ladder: domain.LadderMeasured, Codecs: codecs}.Plan(source)
}

func TestRatesAndQualityFollowThePictures(t *testing.T) {
	t.Parallel()
	sharp := [5]float64{1, 0.98, 0.95, 0.92, 0.88}
	for name, c := range map[string]struct {
		takes [5]int // kbit/s at the profile's quality
		want  []fit
	}{
		"more than there is": {
			[5]int{8000, 3520, 2240, 1280, 400},
			[]fit{{"1080p", 7500, 4}, {"720p", 4200, 2}, {"480p", 2100, 4}, {"360p", 1200, 4}, {"240p", 400, 0}},
		},
		"what fits": {
			[5]int{4000, 2240, 1120, 640, 320},
			[]fit{{"1080p", 7500, 0}, {"720p", 4200, 0}, {"480p", 2100, 0}, {"360p", 1200, 0}, {"240p", 400, 0}},
		},
		"easy": { // about a quarter of the ladder's
			[5]int{1200, 700, 450, 300, 200},
			[]fit{{"1080p", 2500, 0}, {"720p", 1400, 0.5}, {"480p", 700, 2.5}},
		},
		"hard when small": { // half of the ladder's is left to each
			[5]int{2500, 1800, 1300, 900, 500},
			[]fit{{"1080p", 5000, 0}, {"720p", 2857, 2}, {"480p", 1377, 5.5}, {"360p", 900, 6}, {"240p", 400, 6}},
		},
		"light enough when small": {
			[5]int{500, 470, 460, 450, 170},
			[]fit{{"1080p", 2500, 0}, {"720p", 1400, 4.5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, fits(fullHD().Choose(complexity(sharp, c.takes)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever a measure says, rates stay near the ladder's and quality near the profile's.
func TestFitsAreBounded(t *testing.T) {
	t.Parallel()
	open := fullHD(domain.AVC, domain.HEVC, domain.AV1)
	sharp := [5]float64{1, 0.98, 0.95, 0.92, 0.88}
	for _, rate := range []int{math.MinInt, -1, 0, 1, 1000, 1 << 30, math.MaxInt / 1000, math.MaxInt} {
		for _, loss := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0} {
			c := complexity(sharp, [5]int{9000, 5000, 2500, 1600, 900})
			c.Loss = loss
			for i := range c.Rungs {
				if i%2 == 0 || rate > 0 {
					c.Rungs[i].BitRate = rate
				}
			}
			plan := open.Choose(c)
			if len(plan.Encoded()) == 0 {
				t.Fatalf("rate %d, loss %v: no rung", rate, loss)
			}
			for _, r := range plan.Rungs {
				nominal := open.Rungs[slices.IndexFunc(open.Rungs, func(o domain.Rung) bool { return o.Name == r.Name })].MaxRate
				if r.MaxRate < nominal/2-1000 || r.MaxRate > nominal*3/2 || !(r.Coarser >= 0 && r.Coarser <= 6) {
					t.Errorf("rate %d, loss %v: %+v of %d", rate, loss, r, nominal)
				}
				if rate <= 0 && (r.MaxRate != nominal || r.Coarser != 0 || r.Fit != "") {
					t.Errorf("nothing was measured, and %+v of %d", r, nominal)
				}
			}
		}
	}
}
