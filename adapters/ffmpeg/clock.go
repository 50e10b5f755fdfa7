package ffmpeg

import "slices"

// clock follows the times of a track in a format where they may begin anew: people join files of MPEG-TS and MPEG-PS. FFmpeg then goes
// on from where the track was, and so the plan must. Times are in microseconds.
type clock struct {
	begun      bool
	ahead      bool  // they have jumped forward: what goes back later is no beginning
	last, next int64 // when the newest packet is decoded, and the one after it would be
	shift      int64
	since      int    // packets since they began anew
	undo       func() // forgets all since then
}

const (
	clockBack  = 100_000    // FFmpeg takes less for disorder
	clockAhead = 10_000_000 // and more for a jump
	clockStays = 25         // fewer packets are no beginning: of a track with another number the last ones come at the end
)

// follow takes the next packet, and says by how much its times are to be moved.
func (c *clock) follow(decoded, length int64, undo func() func()) int64 {
	at := decoded + c.shift
	switch {
	case !c.begun, c.ahead:
	case at-c.next > clockAhead:
		c.ahead = true
	case at+clockBack < c.last:
		c.shift += c.next - at
		at = c.next
		c.since, c.undo = 0, undo()
	}
	c.begun, c.last, c.next = true, at, at+length
	c.since++
	return c.shift
}

// end leaves out what began anew for a moment, as FFmpeg's output is cut off there.
func (c *clock) end() {
	if c.undo != nil && c.since < clockStays {
		c.undo()
	}
}

// undo remembers what is known of a track.
func (t *timing) undo(isVideo bool, track int) func() {
	if !isVideo {
		sound := t.sound[track]
		sound.gaps, sound.silences = slices.Clone(sound.gaps), slices.Clone(sound.silences)
		return func() { t.sound[track] = sound }
	}
	v := *t
	v.joints = slices.Clone(v.joints)
	return func() {
		t.video, t.keyframes, t.joints, t.latest, t.earliest = v.video, v.keyframes, v.joints, v.latest, v.earliest
		t.bytes, t.lastFrame, t.unordered = v.bytes, v.lastFrame, v.unordered
	}
}
