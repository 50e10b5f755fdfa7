package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// Video is a row of the catalog: everything that metadata and search queries answer about one video.
type Video struct {
	ID             domain.VideoID
	Created        domain.Position // of its first event: the order of creation, whatever the clocks said
	Position       domain.Position // of the newest event applied
	Version        int
	Owner          string
	Details        domain.Details
	PlaybackPolicy domain.PlaybackPolicy
	Publish        domain.PublishMode
	Status         domain.Status
	Playable       bool // something can be played, though maybe not all of it yet
	Published      bool
	CreatedAt      time.Time
	PublishedAt    time.Time // zero before the first publication
	Filename       string
	Source         *domain.Blob
	Info           *domain.SourceInfo
	Duration       float64          // seconds, 0 when unknown
	Renditions     []VideoRendition // of what is served; before that, of the newest attempt
	Next           []VideoRendition // of the newest attempt while an older one is served
	Audio          []VideoAudio     // the same of the sound, what players begin with first
	NextAudio      []VideoAudio
	Poster         bool
	Storyboard     int // of which attempt there is one
	Preview        int // the same
	Captions       []VideoCaption
	Failure        *domain.Failure
	FramesDone     int // of the newest attempt, for progress
	FramesKept     int // those of them that were made before WorkBegan: by an earlier attempt, or ahead of the upload
	FramesPlanned  int
	WorkBegan      time.Time // when the newest attempt was planned
	WorkAt         time.Time // when its newest frames were done
	Attempt        int
	Serving        int
	VideoStarted   bool // chunk 0 of the newest attempt is there
	Deleted        bool
}

// VideoCaption is a caption track of a video.
type VideoCaption struct {
	Attempt  int // whose source it was found in; 0 for one that somebody added
	Name     string
	Language string
	Label    string
}

// VideoAudio is a track of sound of a video, planned or there. One that failed is left out.
type VideoAudio struct {
	Name     string // in addresses
	Language string
	Title    string
	Kind     domain.AudioKind
	Channels int
	Status   RenditionStatus
}

// VideoRendition is a rung of a video, planned or produced.
type VideoRendition struct {
	Name             string
	Width            int
	Height           int
	FrameRate        domain.Rational
	Codecs           string
	AverageBandwidth int64
	Bandwidth        int64
	Bytes            int64
	Status           RenditionStatus
}

// LiveVideo returns one video of a catalog's rows. ErrNotFound, also for one that was deleted.
func LiveVideo(ctx context.Context, rows Rows[Video], id domain.VideoID) (Video, error) {
	found, err := rows.Load(ctx, []string{string(id)})
	if err != nil {
		return Video{}, err
	}
	v, ok := found[string(id)]
	if !ok || v.Deleted {
		return Video{}, fmt.Errorf("%w: video %s", domain.ErrNotFound, id)
	}
	return v, nil
}

// RenditionStatus says how far one rendition is.
type RenditionStatus string

// The rendition statuses.
const (
	RenditionWaiting  RenditionStatus = "waiting"
	RenditionEncoding RenditionStatus = "encoding"
	RenditionEncoded  RenditionStatus = "encoded"
	RenditionFailed   RenditionStatus = "failed"
)

// Sort is an order of search results.
type Sort string

// The orders. Relevance needs a text and is the default where there is one; otherwise newest first is.
const (
	SortRelevance  Sort = "relevance"
	SortOldest     Sort = "created_at"
	SortNewest     Sort = "-created_at"
	SortTitle      Sort = "title"
	SortTitleDesc  Sort = "-title"
	SortShortest   Sort = "duration"
	SortLongest    Sort = "-duration"
	MaxLimit            = 100
	DefaultLimit        = 20
	MaxQueryLength      = 200 // code points of a search text
)

// Query says what to search for. Zero values do not restrict.
type Query struct {
	Text          string   // all words must match, each as a prefix, case and diacritics folded
	Tags          []string // all of them
	Metadata      map[string]string
	Status        domain.Status
	Visibility    domain.Visibility
	CreatedAfter  time.Time
	CreatedBefore time.Time
	MinDuration   float64 // seconds
	MaxDuration   float64 // seconds, 0 for no limit
	Sort          Sort
	Limit         int
	Cursor        string   // NextCursor of the page before; ErrInvalid when it is not one or belongs to another query
	Facets        []string // of "tag", "status"
}

// Page is an answer to a Query.
type Page struct {
	Items      []Video
	NextCursor string // empty on the last page
	Facets     map[string][]FacetCount
}

// FacetCount says how many of all results (not only this page's) have a value.
type FacetCount struct {
	Value string
	Count int
}

// Catalog answers metadata and search queries. Deleted videos are not in it. A cursor names the place after the last
// item by its sort key, so that videos created, changed or deleted meanwhile neither repeat nor hide others.
type Catalog interface {
	Video(ctx context.Context, id domain.VideoID) (Video, error) // ErrNotFound
	Search(ctx context.Context, q Query) (Page, error)
}
