package streamcheck

import (
	"fmt"
	"math"
)

// tolerance is how far Apple lets announced rates be from measured ones.
const tolerance = 0.10

// measured sums the rates of what a variant plays: its own playlist, and the largest member of its audio group.
func (p *presentation) measured(v *variant) (sum rate, complete, ok bool) {
	if v.media == nil || len(v.media.segments) == 0 {
		return sum, false, false
	}
	sum, complete = v.media.rate(), v.media.ended
	var audio rate
	for _, m := range p.group("AUDIO", v.attributes["AUDIO"]) {
		if m.media != nil && m.media != v.media {
			of := m.media.rate()
			audio.peak, audio.average = max(audio.peak, of.peak), max(audio.average, of.average)
			complete = complete && m.media.ended
		}
	}
	sum.peak, sum.average = sum.peak+audio.peak, sum.average+audio.average
	return sum, complete, sum.average > 0
}

// compareRates reports variants of which an announced rate is too far from the measured one.
func compareRates(p *presentation, r *reporter, name string, growing bool, of func(rate) float64, wrong func(said, is float64) bool) {
	check := func(v *variant) {
		said, ok := v.number(name)
		is, complete, measured := p.measured(v)
		if ok && measured && complete != growing && wrong(said, of(is)) {
			r.found(v.place, fmt.Sprintf("%.0f measured", of(is)), "%s=%.0f (%+.0f %%)", name, said, 100*(said/of(is)-1))
		}
	}
	p.eachVariant(check)
	p.eachIFrames(check)
}

func peak(r rate) float64    { return r.peak }
func average(r rate) float64 { return r.average }

func apart(said, is float64) bool { return math.Abs(is-said) > tolerance*said }

func averageIsTrue(p *presentation, r *reporter) {
	compareRates(p, r, "AVERAGE-BANDWIDTH", false, average, apart)
}

func peakIsTrue(p *presentation, r *reporter) {
	compareRates(p, r, "BANDWIDTH", false, peak, apart)
}

func growingPeakIsTrue(p *presentation, r *reporter) {
	compareRates(p, r, "BANDWIDTH", true, peak, func(said, is float64) bool { return is >= 1.25*said })
}

// peakIsASum finds a variant that announces the rate of its video alone.
func peakIsASum(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		said, ok := v.number("BANDWIDTH")
		sum, _, measured := p.measured(v)
		if !ok || !measured {
			return
		}
		own := v.media.rate().peak
		if sum.peak > own && said < sum.peak*(1-tolerance) && math.Abs(said-own) <= tolerance*own {
			r.found(v.place, fmt.Sprintf("%.0f, with audio", sum.peak), "BANDWIDTH=%.0f, the video alone", said)
		}
	})
}

func peakIsBounded(p *presentation, r *reporter) {
	p.eachVariant(func(v *variant) {
		if is, complete, ok := p.measured(v); ok && complete && is.peak > 2*is.average {
			r.found(v.place, fmt.Sprintf("at most %.0f", 2*is.average), "%.0f", is.peak)
		}
	})
}

func firstIsMiddle(p *presentation, r *reporter) {
	const wanted = 2_000_000
	var first, best *variant
	far := func(v *variant) float64 {
		n, _ := v.number("AVERAGE-BANDWIDTH")
		return math.Abs(n - wanted)
	}
	p.eachVariant(func(v *variant) {
		if first == nil {
			first, best = v, v
		}
		if far(v) < far(best) {
			best = v
		}
	})
	if first != nil && far(first) > far(best) {
		r.found(first.place, fmt.Sprintf("the one of %s bit/s", best.attributes["AVERAGE-BANDWIDTH"]),
			"AVERAGE-BANDWIDTH=%s", first.attributes["AVERAGE-BANDWIDTH"])
	}
}
