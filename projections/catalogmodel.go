package projections

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// CatalogName names the catalog's read model in files and on the command line.
const CatalogName = "catalog"

// catalogVersion grows when FoldVideo or the text of a search gives other rows than before.
const catalogVersion = 8

// CatalogModel is the model of the catalog: one row per video, under its id. A deleted video leaves a row that says so
// and nothing else, so that a late event does not bring it back.
func CatalogModel() Model[Video] {
	return Model[Video]{
		Name:    CatalogName,
		Version: catalogVersion,
		Keys:    func(e domain.Recorded) []string { return []string{e.Stream} },
		Fold:    func(_ string, v Video, e domain.Recorded) Video { return v.Evolve(e) },
	}
}

// FoldVideo returns the row that a whole stream gives, oldest event first: the answer to a command, from the log.
func FoldVideo(events []domain.Recorded) Video {
	var v Video
	for _, e := range events {
		v = v.Evolve(e)
	}
	return v
}

// Evolve returns the row after one more event. It never changes what v's slices and pointers hold: the old row may still be in use.
func (v Video) Evolve(r domain.Recorded) Video {
	if v.Version == 0 {
		v.ID, v.CreatedAt, v.Created = r.VideoID(), r.Time.UTC(), r.Position
	}
	v.Version, v.Position = r.Version, r.Position
	if v.Deleted {
		return v
	}
	switch e := r.Event.(type) {
	case domain.VideoCreated:
		v.Owner, v.Details, v.Publish, v.PlaybackPolicy = e.Owner, e.Details, e.Publish, e.PlaybackPolicy
	case domain.VideoDetailsChanged:
		v.Details = e.Details
	case domain.PlaybackPolicyChanged:
		v.PlaybackPolicy = e.PlaybackPolicy
	case domain.VideoUploaded:
		source := e.Source
		v.Filename, v.Source, v.Info = e.Filename, &source, nil
		v = v.begin(e.Attempt)
	case domain.TranscodeRequested:
		v = v.begin(e.Attempt)
	case domain.SourceInspected:
		info := e.Source
		info.Remux = nil // long, and for the plan only
		v.Info, v.Duration = &info, info.Duration
	case domain.TranscodePlanned:
		v = v.planned(e.Plan)
		v.WorkBegan, v.WorkAt = r.Time.UTC(), r.Time.UTC()
	case domain.ChunkTranscoded:
		v = v.chunk(e, !r.Time.After(v.WorkBegan))
		v.WorkAt = r.Time.UTC()
	case domain.SourceRemuxed:
		v.VideoStarted = true
		v = v.encoding(domain.RemuxName)
	case domain.AudioTranscoded:
		status := RenditionEncoding
		if e.Final {
			status = RenditionEncoded
		}
		v = v.withAudio(e.Track, status)
	case domain.AudioLeftOut:
		v = v.withAudio(e.Track, RenditionFailed)
	case domain.PosterProduced:
		v.Poster = true
	case domain.RenditionProduced:
		v = v.produced(e)
	case domain.SourceRejected:
		v = v.failed(e.Failure)
	case domain.TranscodeFailed:
		v = v.failed(e.Failure)
	case domain.VideoPublished:
		v.Published, v.PublishedAt = true, r.Time.UTC()
	case domain.VideoUnpublished:
		v.Published = false
	case domain.VideoErased:
	case domain.VideoDeleted:
		return Video{
			ID: v.ID, Created: v.Created, CreatedAt: v.CreatedAt, Version: v.Version, Position: v.Position, Deleted: true,
		}
	case domain.StoryboardProduced:
		v.Storyboard = e.Attempt
	case domain.PreviewProduced:
		v.Preview = e.Attempt
	case domain.CaptionAdded:
		c := VideoCaption{Attempt: e.Attempt, Name: cmp.Or(e.Name, e.Language), Language: e.Language, Label: e.Label}
		v.Captions = append(v.captionsBut(func(o VideoCaption) bool { return o.Attempt == c.Attempt && o.Name == c.Name }), c)
	case domain.CaptionRemoved:
		v.Captions = v.captionsBut(func(c VideoCaption) bool { return c.Attempt == 0 && c.Name == e.Language })
	}
	v.Status = v.status()
	v.Playable = v.Serving > 0 || (v.Failure == nil && v.VideoStarted && v.audioStarted())
	return v
}

// captionsBut returns a copy of the captions without some.
func (v Video) captionsBut(gone func(VideoCaption) bool) []VideoCaption {
	return slices.DeleteFunc(slices.Clone(v.Captions), gone)
}

// status derives the status as domain.Video does.
func (v Video) status() domain.Status {
	switch {
	case v.Serving > 0:
		return domain.StatusReady
	case v.Failure != nil:
		return domain.StatusFailed
	case v.Source == nil:
		return domain.StatusWaiting
	}
	return domain.StatusProcessing
}

// begin starts an attempt. What is served stays as it is until the new attempt is complete.
func (v Video) begin(attempt int) Video {
	v.Attempt, v.Failure, v.Next, v.NextAudio = attempt, nil, nil, nil
	v.FramesDone, v.FramesKept, v.FramesPlanned = 0, 0, 0
	v.VideoStarted = false
	if v.Serving == 0 {
		v.Renditions, v.Audio, v.Poster = nil, nil, false
	}
	return v
}

func (v Video) planned(p domain.Plan) Video {
	v.FramesPlanned = p.Frames
	if p.Complexity != nil { // it takes the place of an open one, of which there may be something already
		return v.withWork(slices.DeleteFunc(v.work(), func(r VideoRendition) bool {
			return !slices.ContainsFunc(p.Rungs, func(rung domain.Rung) bool { return rung.Name == r.Name })
		}))
	}
	tracks := make([]VideoAudio, 0, 1+len(p.MoreAudio))
	for i, a := range p.AudioTracks() {
		tracks = append(tracks, VideoAudio{
			Name: domain.AudioName(i), Language: a.Language, Title: a.Title, Kind: a.Kind, Channels: a.Channels, Status: RenditionWaiting,
		})
	}
	if v.Serving > 0 {
		v.NextAudio = tracks
	} else {
		v.Audio = tracks
	}
	rs := make([]VideoRendition, len(p.Rungs))
	for i, r := range p.Rungs {
		rs[i] = VideoRendition{
			Name: r.Name, Width: r.Width, Height: r.Height, FrameRate: p.FrameRate, Status: RenditionWaiting,
		}
	}
	return v.withWork(rs)
}

// Newest returns the renditions of the newest attempt; of the one that is served, until the newest is planned.
func (v Video) Newest() []VideoRendition {
	if v.Serving > 0 && v.Next == nil {
		return v.Renditions
	}
	return v.newest()
}

// newest returns the renditions of the newest attempt.
func (v Video) newest() []VideoRendition {
	if v.Serving > 0 {
		return v.Next
	}
	return v.Renditions
}

// work returns them to be changed.
func (v Video) work() []VideoRendition { return slices.Clone(v.newest()) }

func (v Video) withWork(rs []VideoRendition) Video {
	if v.Serving > 0 {
		v.Next = rs
	} else {
		v.Renditions = rs
	}
	return v
}

// encoding says that something of some renditions is there.
func (v Video) encoding(names ...string) Video {
	begins := func(r VideoRendition) bool { return r.Status == RenditionWaiting && slices.Contains(names, r.Name) }
	if !slices.ContainsFunc(v.newest(), begins) {
		return v
	}
	rs := v.work()
	for i := range rs {
		if begins(rs[i]) {
			rs[i].Status = RenditionEncoding
		}
	}
	return v.withWork(rs)
}

// withAudio says how far a track of the newest attempt's sound is.
func (v Video) withAudio(track int, status RenditionStatus) Video {
	tracks := &v.Audio
	if v.Serving > 0 {
		tracks = &v.NextAudio
	}
	if track >= 0 && track < len(*tracks) {
		*tracks = slices.Clone(*tracks)
		(*tracks)[track].Status = status
	}
	return v
}

// audioStarted says whether what players begin with is there of the newest attempt's sound, before any is served.
func (v Video) audioStarted() bool {
	for _, a := range v.Audio {
		if a.Status != RenditionFailed {
			return a.Status != RenditionWaiting
		}
	}
	return true
}

// chunk counts what is done. Of a chunk that was made ahead of an upload, the work that WorkBegan is the beginning of did nothing.
func (v Video) chunk(e domain.ChunkTranscoded, ahead bool) Video {
	names := make([]string, len(e.Renditions))
	for i, r := range e.Renditions {
		names[i] = r.Name
	}
	v = v.encoding(names...)
	rs := v.newest()
	remuxed := slices.ContainsFunc(rs, func(r VideoRendition) bool { return r.Name == domain.RemuxName }) // that starts it
	v.VideoStarted = v.VideoStarted || e.Chunk == 0 && !remuxed
	if len(e.Renditions) > 0 && len(rs) > 0 {
		seconds := 0.0
		for _, s := range e.Renditions[0].Segments {
			seconds += s.Duration
		}
		frames := int(math.Round(seconds * rs[0].FrameRate.Float()))
		v.FramesDone = min(v.FramesPlanned, v.FramesDone+frames)
		if ahead || len(e.Kept) == len(e.Renditions) {
			v.FramesKept += frames
		}
	}
	return v
}

// Left says how long the encode will take from now on, as far as it went until now; false when nothing can be said.
func (v Video) Left(now time.Time) (left time.Duration, known bool) {
	took, encoded := v.WorkAt.Sub(v.WorkBegan), v.FramesDone-v.FramesKept
	if v.Attempt == 0 || v.Serving == v.Attempt || v.Failure != nil || encoded <= 0 || took <= 0 {
		return 0, false
	}
	left = time.Duration(float64(took) / float64(encoded) * float64(v.FramesPlanned-v.FramesDone))
	return max(time.Second, left-max(0, now.Sub(v.WorkAt))), true
}

// produced completes one rendition and, with the last one, the attempt: from then on that is what is served.
func (v Video) produced(e domain.RenditionProduced) Video {
	rs := v.work()
	i := slices.IndexFunc(rs, func(r VideoRendition) bool { return r.Name == e.Name })
	if i < 0 {
		rs, i = append(rs, VideoRendition{}), len(rs)
	}
	rs[i] = VideoRendition{
		Name: e.Name, Width: e.Width, Height: e.Height, FrameRate: e.FrameRate, Codecs: e.Codecs,
		AverageBandwidth: e.AverageBandwidth, Bandwidth: e.Bandwidth, Bytes: e.Bytes, Status: RenditionEncoded,
	}
	v = v.withWork(rs)
	if slices.ContainsFunc(rs, func(r VideoRendition) bool { return r.Status != RenditionEncoded }) {
		return v
	}
	if v.Serving > 0 {
		v.Audio, v.NextAudio = v.NextAudio, nil
	}
	v.Renditions, v.Next, v.Serving = rs, nil, e.Attempt
	v.Captions = v.captionsBut(func(c VideoCaption) bool { return c.Attempt > 0 && c.Attempt < e.Attempt })
	v.Duration = max(v.Duration, e.Duration)
	v.FramesDone = v.FramesPlanned
	return v
}

func (v Video) failed(f domain.Failure) Video {
	rs := v.work()
	for i := range rs {
		rs[i].Status = RenditionFailed
	}
	for track := range max(len(v.Audio), len(v.NextAudio)) {
		v = v.withAudio(track, RenditionFailed)
	}
	v.Failure = &f
	return v.withWork(rs)
}
