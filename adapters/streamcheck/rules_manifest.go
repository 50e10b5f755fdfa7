package streamcheck

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// manifestRules are those for MPEG-DASH; the numbers are of ISO/IEC 23009-1.
func manifestRules() []rule {
	return []rule{
		{"ISO/IEC 23009-1, 5.3.1.2", Error, "MPD has profiles and minBufferTime, and what its type asks for", "add the attribute", manifestIsComplete},
		{"ISO/IEC 23009-1, 5.3.1.2", Error, "mediaPresentationDuration is how long the media lasts", "write the sum of the segments", manifestDurationIsTrue},
		{"ISO/IEC 23009-1, 5.3.5.2", Error, "Representation has an id of its own and a bandwidth", "add what is missing", representationsAreComplete},
		{"ISO/IEC 23009-1, 5.3.5.2", Error, "at its bandwidth a representation plays without a stop after minBufferTime", "write the measured peak", bandwidthIsEnough},
		{"ISO/IEC 23009-1, 5.3.7.2", Error, "mimeType and codecs are what the media is", "write what the sample descriptions say", formatsAreTrue},
		{"ISO/IEC 23009-1, 5.3.7.2", Error, "width, height and frameRate are those of the media", "write what the media says", sizesAreTrue},
		{"ISO/IEC 23009-1, 5.3.7.2", Error, "startWithSAP: segments begin with a sync sample", "cut at keyframes", segmentsStartWithSAP},
		{"ISO/IEC 23009-1, 5.3.9.1", Error, "each representation has segments", "add SegmentList or SegmentTemplate", segmentsAreListed},
		{"ISO/IEC 23009-1, 5.3.9.5", Error, "what is named can be had and read", "store the file, or take it out", manifestMediaIsThere},
		{"ISO/IEC 23009-1, 5.3.9.6", Error, "the timeline is that of the samples", "write tfdt and durations of the segments", timelineIsTrue},
		{"ISO/IEC 23009-1, 5.3.3.2", Error, "segmentAlignment: segments are cut at the same times", "cut all alike, or leave segmentAlignment out", segmentsAreAligned},
		{"ISO/IEC 23009-1, C.1", Error, "an MPD is served as application/dash+xml", "set the content type", manifestType},
	}
}

func manifestIsComplete(p *presentation, r *reporter) {
	m := p.manifest
	at := place{m.file, 0}
	if m.Profiles == "" {
		r.found(at, "profiles", "none")
	}
	if _, ok := isoSeconds(m.Buffer); !ok {
		r.found(at, "minBufferTime", "%q", m.Buffer)
	}
	if m.Type == "dynamic" && m.Start == "" {
		r.found(at, "availabilityStartTime, of a dynamic MPD", "none")
	}
	if m.Type != "dynamic" && m.seconds <= 0 {
		r.found(at, "mediaPresentationDuration, of a static MPD", "%q", m.Duration)
	}
	if len(m.representations) == 0 {
		r.found(at, "a Period with an AdaptationSet with a Representation", "none")
	}
}

// span is the presentation time of a representation.
func (r *representation) span() (begins, ends float64, ok bool) {
	return (&playlist{segments: r.segments}).span()
}

func manifestDurationIsTrue(p *presentation, r *reporter) {
	m := p.manifest
	begins, ends := math.Inf(1), math.Inf(-1)
	for _, rep := range m.representations {
		if b, e, ok := rep.span(); ok {
			begins, ends = min(begins, b), max(ends, e)
		}
	}
	if m.seconds > 0 && ends > begins && math.Abs(ends-begins-m.seconds) > inSync {
		r.found(place{m.file, 0}, fmt.Sprintf("%.3f s", ends-begins), "%s", m.Duration)
	}
}

func representationsAreComplete(p *presentation, r *reporter) {
	type key struct {
		period int
		id     string
	}
	seen := map[key]bool{}
	for _, rep := range p.manifest.representations {
		k := key{rep.period, rep.ID}
		if rep.ID == "" || strings.ContainsAny(rep.ID, " \t\n") || seen[k] {
			r.found(rep.place, "an id of its own without white space", "%q", rep.ID)
		}
		seen[k] = true
		if rep.Bandwidth <= 0 {
			r.found(rep.place, "bandwidth in bits per second", "%d", rep.Bandwidth)
		}
	}
}

// bandwidthIsEnough lets a client begin at each segment and receive at the bandwidth; what it has at the end of a
// segment, minBufferTime later, must be that segment.
func bandwidthIsEnough(p *presentation, r *reporter) {
	buffer, _ := isoSeconds(p.manifest.Buffer)
	for _, rep := range p.manifest.representations {
		debt, worst := 0.0, 0.0 // bits that lack at the end of a segment, begun at the worst one before
		for _, s := range rep.segments {
			debt = max(debt, 0) + 8*s.size() - float64(rep.Bandwidth)*s.duration
			worst = max(worst, debt)
		}
		if have := float64(rep.Bandwidth) * buffer; worst > have {
			r.found(rep.place, fmt.Sprintf("%.0f bits in minBufferTime", worst), "%.0f", have)
		}
	}
}

func (r *representation) track() *track { return (&playlist{segments: r.segments}).track() }

func formatsAreTrue(p *presentation, r *reporter) {
	for _, rep := range p.manifest.representations {
		kind, _, _ := strings.Cut(rep.MimeType, "/")
		if kind != "video" && kind != "audio" && kind != "text" && kind != "application" && kind != "image" {
			r.found(rep.place, "mimeType", "%q", rep.MimeType)
		}
		t := rep.track()
		if t == nil {
			continue
		}
		if (kind == "video" && !t.video) || (kind == "audio" && !t.audio) {
			r.found(rep.place, "the type of the track", "mimeType=%q of %s", rep.MimeType, t.sample.format)
		}
		if !slices.ContainsFunc(splitCodecs(rep.Codecs), func(c string) bool { return sameCodec(c, t.sample.codec) }) {
			r.found(rep.place, t.sample.codec, "codecs=%q", rep.Codecs)
		}
	}
}

func sizesAreTrue(p *presentation, r *reporter) {
	for _, rep := range p.manifest.representations {
		t := rep.track()
		if t == nil || !t.video {
			continue
		}
		if (rep.Width > 0 && rep.Width != t.sample.width) || (rep.Height > 0 && rep.Height != t.sample.height) {
			r.found(rep.place, fmt.Sprintf("%dx%d", t.sample.width, t.sample.height), "%dx%d", rep.Width, rep.Height)
		}
		number, by, divided := strings.Cut(rep.FrameRate, "/")
		said, _ := strconv.ParseFloat(number, 64)
		if d, err := strconv.ParseFloat(by, 64); divided && err == nil && d > 0 {
			said /= d
		}
		if is := (&playlist{segments: rep.segments}); said > 0 && !is.atRate(said) {
			r.found(rep.place, fmt.Sprintf("%.3f", is.frameRate()), "frameRate=%q", rep.FrameRate)
		}
	}
}

func segmentsStartWithSAP(p *presentation, r *reporter) {
	for _, rep := range p.manifest.representations {
		for _, s := range rep.segments {
			if f, t := s.facts(); f != nil && t.video && rep.StartsSAP > 0 && (!f.syncFirst || !f.idrFirst) {
				r.found(rep.place, "a sync sample first, since startWithSAP is "+strconv.Itoa(rep.StartsSAP), "another in %s", s.uri)
			}
		}
	}
}

func segmentsAreListed(p *presentation, r *reporter) {
	for _, rep := range p.manifest.representations {
		switch {
		case rep.unread != "":
			r.found(rep.place, "a SegmentList or SegmentTemplate (SegmentBase is not read by this check)", "%s", rep.unread)
		case len(rep.segments) == 0:
			r.found(rep.place, "segments", "none")
		}
	}
}

func manifestMediaIsThere(p *presentation, r *reporter) {
	for _, l := range p.lost {
		wanted := "a file that can be read"
		if errors.Is(l.err, errMP4) {
			wanted = "fragmented MP4 that goes with its initialization segment"
		}
		r.found(l.place, wanted, "%s: %v", l.address, l.err)
	}
}

// timelineIsTrue compares start and length of each segment with its samples. Composition offsets may move the first
// picture, so the decode time is as good.
func timelineIsTrue(p *presentation, r *reporter) {
	for _, rep := range p.manifest.representations {
		for i, s := range rep.segments {
			f, t := s.facts()
			if f == nil || f.noTime {
				continue
			}
			scale := float64(t.timescale)
			exact := float64(f.longest)/scale + 0.001 // encoders' priming is written by some, and not by others
			lasts, shown, decoded := float64(f.ticks)/scale, float64(f.begins)/scale, float64(f.decode)/scale
			from := rep.starts[i]
			if math.Abs(shown-from) > exact && math.Abs(decoded-from) > exact {
				r.found(rep.place, fmt.Sprintf("%.4f s, as in %s", shown, s.uri), "a start at %.4f s", from)
			}
			if timed := rep.List != nil && rep.List.Timeline != nil || rep.Template != nil && rep.Template.Timeline != nil; timed && math.Abs(lasts-s.duration) > exact {
				r.found(rep.place, fmt.Sprintf("%.4f s, as in %s", lasts, s.uri), "a length of %.4f s", s.duration)
			}
		}
	}
}

func segmentsAreAligned(p *presentation, r *reporter) {
	first := map[*adaptationSet]*representation{}
	for _, rep := range p.manifest.representations {
		one := first[rep.set]
		if one == nil {
			first[rep.set] = rep
			continue
		}
		if rep.set.Alignment != "true" {
			continue
		}
		overlap(one, rep, r)
		overlap(rep, one, r)
	}
}

// overlap finds a segment of one representation with a picture that is shown when the next segment of the other one has
// begun; that it ends later is no matter.
func overlap(one, other *representation, r *reporter) {
	if len(one.segments) != len(other.segments) {
		r.found(other.place, fmt.Sprintf("%d segments, as %s", len(one.segments), one.ID), "%d", len(other.segments))
		return
	}
	for i := range len(one.segments) - 1 {
		a, t := one.segments[i].facts()
		b, u := other.segments[i+1].facts()
		if a == nil || b == nil {
			continue
		}
		last, next := float64(a.last)/float64(t.timescale), float64(b.begins)/float64(u.timescale)
		if last >= next {
			r.found(other.place, fmt.Sprintf("segment %d from after %.3f s on, the last picture before it in %s", i+1, last, one.ID), "from %.3f s on", next)
			return
		}
	}
}

func manifestType(p *presentation, r *reporter) {
	if res := p.manifest.response; res != nil {
		if mime, _, _ := strings.Cut(res.contentType, ";"); mime != "application/dash+xml" {
			r.found(place{p.manifest.file, 0}, "application/dash+xml", "%q", res.contentType)
		}
	}
}
