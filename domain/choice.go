package domain

import (
	"fmt"
	"slices"
	"strings"
)

// LadderChoice says whether rungs that add nothing to a video are left out.
type LadderChoice string

// LadderMeasured measures the pictures first and leaves out what adds nothing; LadderFixed makes every rung. LadderAuto
// measures where nobody waits for it: where the source's own pictures, or an earlier attempt, can be watched meanwhile.
const (
	LadderAuto     LadderChoice = "auto"
	LadderMeasured LadderChoice = "measured"
	LadderFixed    LadderChoice = "fixed"
)

// Complexity is what a quick look at some seconds of a source found out about its pictures.
type Complexity struct {
	Seconds float64 `json:"seconds"` // that were looked at; 0 where nothing could be measured
	// Loss is how much of the SSIM the encoder takes from a small rung at the plan's quality.
	Loss  float64        `json:"loss,omitempty"`
	Rungs []RungForecast `json:"rungs,omitempty"`
}

// RungForecast is what to expect of a rung in AVC.
type RungForecast struct {
	Name string `json:"name"`
	// Likeness is the SSIM of the source's pictures made as small as the rung and as large again: 1 where nothing is lost.
	Likeness float64 `json:"likeness"`
	BitRate  int     `json:"bit_rate"` // bits per second, if nothing capped them
}

// DroppedRung is a rung that is not made, and why.
type DroppedRung struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

const (
	// alike is the likeness from which on a larger rung shows nothing more: the source has nothing finer to show.
	alike = 0.9985
	// hidden is the part of what the encoder loses that nobody sees missing beside it: where a smaller rung loses no more
	// than that by its size, the larger one spends its bits on noise.
	hidden = 0.15
	// mostFromAbove is how many rungs may be left out for that: elsewhere the video may have more to show after all.
	mostFromAbove = 2
	// slowest is the rate, in bits per second, of the slowest network that the ladder serves: its lowest rung is for it.
	slowest = 400_000
	// nearEnough is how many times the rate of the next rung below a rung may have for players to switch between them well,
	// after Apple's HLS authoring rules: rates of neighbours 1.5 to 2 times apart. What lies between is not needed.
	nearEnough = 2
)

// choosable says whether there is a choice to make: with one rung there is none.
func (p Plan) choosable() bool { return len(p.avc()) > 1 }

// avc returns the rungs that are encoded to AVC; those of other codecs are the same ones again.
func (p Plan) avc() []Rung {
	return slices.DeleteFunc(slices.Clone(p.Encoded()), func(r Rung) bool { return r.Codec != "" && r.Codec != AVC })
}

// Choose returns the plan without the rungs that add nothing, and the others as their pictures want them, as far as those
// were measured, and with the reasons. One rung that is encoded is always left.
func (p Plan) Choose(c Complexity) Plan {
	p.Open, p.Complexity, p.Dropped = false, &c, nil
	rungs := p.avc()
	forecasts := make([]RungForecast, len(rungs))
	for i, r := range rungs {
		at := slices.IndexFunc(c.Rungs, func(f RungForecast) bool { return f.Name == r.Name })
		if at < 0 || c.Rungs[at].BitRate <= 0 {
			return p // not measured: all are made
		}
		forecasts[i] = c.Rungs[at]
	}
	if len(rungs) == 0 {
		return p
	}
	first := fromAbove(forecasts, min(alike, 1-hidden*c.Loss))
	fits := fit(rungs[first:], forecasts[first:])
	served := make([]RungForecast, 0, len(rungs))
	if source := p.Remuxed(); source != nil {
		served = append(served, RungForecast{Name: source.Name, BitRate: int(float64(source.MaxRate) / heavyRemux)})
	}
	encoded := len(served)
	for i, f := range fits {
		served = append(served, RungForecast{Name: rungs[first+i].Name, BitRate: int(min(f.average, float64(rungs[first+i].MaxRate)))})
	}
	for i := range first {
		p.Dropped = append(p.Dropped, DroppedRung{rungs[i].Name, fmt.Sprintf("looks like %s: SSIM %.4f", rungs[i+1].Name, forecasts[i+1].Likeness)})
	}
	fitted := map[string]fitting{}
	lowest := ""
	for i, why := range reasons(served, encoded)[encoded:] {
		name := rungs[first+i].Name
		if why != "" {
			p.Dropped = append(p.Dropped, DroppedRung{Name: name, Reason: why})
			continue
		}
		fitted[name], lowest = fits[i], name
	}
	all := p.Rungs
	p.Rungs = nil
	for _, r := range all {
		name := strings.TrimSuffix(r.Name, "-"+string(r.Codec))
		f, ok := fitted[name]
		switch {
		case r.Remux:
			p.Rungs = append(p.Rungs, r)
		case ok:
			p.Rungs = append(p.Rungs, f.apply(r, name == lowest))
		}
	}
	return p
}

// fromAbove returns how many of the rungs, highest first, show no more than the one below them, which they look like from
// the likeness alike on.
func fromAbove(fs []RungForecast, alike float64) (first int) {
	for first < mostFromAbove && first+1 < len(fs) && fs[first+1].Likeness >= alike {
		first++
	}
	return first
}

// reasons gives for each rung, highest first, why it is not made; empty where it is. The first ones are served anyway.
func reasons(made []RungForecast, served int) []string {
	why := make([]string, len(made))
	// From below: what is for networks that carry the rung above it as well.
	last := 0
	for last+1 < len(made) && made[last].BitRate > slowest {
		last++
	}
	last = max(last, served)
	for i := last + 1; i < len(made); i++ {
		why[i] = fmt.Sprintf("%s needs no more than about %d kbit/s", made[last].Name, made[last].BitRate/1000)
	}
	// Between: what lies between two that are near each other.
	above := 0
	for i := 1; i < last; i++ {
		if made[above].BitRate > nearEnough*made[i+1].BitRate {
			above = i
			continue
		}
		why[i] = fmt.Sprintf("%s, with about %d kbit/s, is near enough to %s, with %d",
			made[above].Name, made[above].BitRate/1000, made[i+1].Name, made[i+1].BitRate/1000)
	}
	return why
}
