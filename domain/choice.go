package domain

import (
	"fmt"
	"slices"
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

// Choose returns the plan without the rungs that add nothing, as far as the pictures were measured, and with the reasons.
// One rung that is encoded is always left.
func (p Plan) Choose(c Complexity) Plan {
	p.Open, p.Complexity, p.Dropped = false, &c, nil
	rungs := p.avc()
	var fs []RungForecast
	if source := p.Remuxed(); source != nil {
		fs = append(fs, RungForecast{Name: source.Name, Likeness: 1, BitRate: int(float64(source.MaxRate) / heavyRemux)})
	}
	served := len(fs)
	for _, r := range rungs {
		at := slices.IndexFunc(c.Rungs, func(f RungForecast) bool { return f.Name == r.Name })
		if at < 0 || c.Rungs[at].BitRate <= 0 {
			return p // not measured: all are made
		}
		f := c.Rungs[at]
		f.BitRate = min(f.BitRate, r.MaxRate)
		fs = append(fs, f)
	}
	if len(rungs) == 0 {
		return p
	}
	for i, why := range reasons(fs, served, min(alike, 1-hidden*c.Loss))[served:] {
		if why != "" {
			p.Dropped = append(p.Dropped, DroppedRung{Name: rungs[i].Name, Reason: why})
		}
	}
	p.Rungs = slices.DeleteFunc(slices.Clone(p.Rungs), func(r Rung) bool {
		return !r.Remux && slices.ContainsFunc(p.Dropped, func(d DroppedRung) bool {
			return r.Name == d.Name || r.Name == d.Name+"-"+string(r.Codec)
		})
	})
	return p.fitted(c)
}

// reasons gives for each rung, highest first, why it is not made; empty where it is. The first ones are served anyway.
// Two rungs look the same from the likeness alike on.
func reasons(fs []RungForecast, served int, alike float64) []string {
	why := make([]string, len(fs))
	// From above: what shows no more than the rung below it.
	first := served
	for ; first < served+mostFromAbove && first+1 < len(fs) && fs[first+1].Likeness >= alike; first++ {
		why[first] = fmt.Sprintf("looks like %s: SSIM %.4f", fs[first+1].Name, fs[first+1].Likeness)
	}
	made := fs[first:]
	if served > 0 {
		made = append(fs[:1:1], made...)
	}
	skipped := len(fs) - len(made) // of the rungs that are encoded
	// From below: what is for networks that carry the rung above it as well.
	last := 0
	for last+1 < len(made) && made[last].BitRate > slowest {
		last++
	}
	last = max(last, served)
	for i := last + 1; i < len(made); i++ {
		why[i+skipped] = fmt.Sprintf("%s needs no more than about %d kbit/s", made[last].Name, made[last].BitRate/1000)
	}
	// Between: what lies between two that are near each other.
	above := 0
	for i := 1; i < last; i++ {
		if made[above].BitRate > nearEnough*made[i+1].BitRate {
			above = i
			continue
		}
		why[i+skipped] = fmt.Sprintf("%s, with about %d kbit/s, is near enough to %s, with %d",
			made[above].Name, made[above].BitRate/1000, made[i+1].Name, made[i+1].BitRate/1000)
	}
	return why
}
