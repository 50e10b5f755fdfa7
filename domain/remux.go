package domain

import "slices"

// RemuxName is the name of the rendition that has the source's own pictures.
const RemuxName = "source"

const (
	// maxRemuxSegment is the longest segment, in seconds, that is made of a source's own pictures: longer ones make
	// players wait, and switch late.
	maxRemuxSegment = 10
	// maxRemuxRate is the bit rate up to which a source is served as it is, most viewers' networks being what they are.
	maxRemuxRate = 40_000_000
	// heavyRemux is how many times the cap of an encode a source's rate may be for the encode of that size to be left out.
	heavyRemux = 1.5
	// hardlySmaller is the part of the source's size from which on a rung has nothing over it but its rate.
	hardlySmaller = 0.9
)

// remuxing returns the plan with the source's own pictures as the top rung, if they can be served: all renditions then
// have their segments from one of the source's keyframes to another, so that players switch anywhere.
func (p Plan) remuxing(s SourceInfo) Plan {
	if s.Remux == nil || s.Remux.BitRate > maxRemuxRate {
		return p
	}
	starts, ok := remuxStarts(s.Remux.Joints, p)
	if !ok {
		return p
	}
	lighter := slices.DeleteFunc(slices.Clone(p.Rungs), func(r Rung) bool {
		return float64(min(r.Width, r.Height)) > hardlySmaller*float64(min(s.Width, s.Height)) &&
			float64(s.Remux.BitRate) <= heavyRemux*float64(r.MaxRate)
	})
	if len(lighter) == 0 { // somebody's network may be slower than this source
		lighter = p.Rungs[len(p.Rungs)-1:]
	}
	p.Starts = starts
	p.Rungs = append([]Rung{{
		Name: RemuxName, Width: s.Width, Height: s.Height, MaxRate: int(heavyRemux * float64(s.Remux.BitRate)), Remux: true,
	}}, lighter...)
	return p
}

// remuxStarts takes those joints for segments that leave them about as long as the plan's, and says whether none is too
// long then.
func remuxStarts(joints []int, p Plan) (starts []int, ok bool) {
	most := int(maxRemuxSegment * p.FrameRate.Float())
	least := p.SegmentFrames - p.GOP/4
	starts = []int{0}
	for i, joint := range joints {
		next := p.Frames
		if i+1 < len(joints) {
			next = joints[i+1]
		}
		if last := starts[len(starts)-1]; joint > last && joint < p.Frames && (joint-last >= least || next-last > most) {
			starts = append(starts, joint)
		}
	}
	for i, start := range starts {
		end := p.Frames
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if end-start > most {
			return nil, false
		}
	}
	return starts, true
}
