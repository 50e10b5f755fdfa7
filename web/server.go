package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// Server is what the handlers need. Every field without a default named here must be set.
type Server struct {
	Commands  Commands
	Eraser    Eraser // may be nil
	Catalog   projections.Catalog
	Playbacks projections.Playbacks
	Freshness Freshness
	// Multivariant and MediaPlaylist render playlists (projections has them). ErrNotFound: no such rendition.
	Multivariant  func(p projections.Playback, uri func(rendition string) string) []byte
	MediaPlaylist func(p projections.Playback, rendition string, uri func(domain.Blob) string) ([]byte, error)
	// Manifest renders the DASH manifest (projections has it). ErrNotFound: there is none yet.
	Manifest  func(p projections.Playback, uri func(domain.Blob) string) ([]byte, error)
	Media     Media
	Analytics Analytics
	// Plays keeps views, and Beacons takes what players tell of them; both nil where none are counted. AddressHeader and
	// CountryHeader are where a proxy before the server says where a request comes from (the address last in a list, the
	// country in two letters); "" where none is trusted to.
	Plays         Plays
	Beacons       Beacons
	AddressHeader string
	CountryHeader string
	Webhooks      Webhooks
	// Events is the log, for those who follow it. Appended may tell that it has grown, and EventsTick is how long news wait
	// where nothing tells (1 s when 0); nobody looks while nobody follows.
	Events     projections.Log
	Appended   <-chan struct{}
	EventsTick time.Duration
	// MaxFollowers is how many may follow at once, 5,000 when 0; Heartbeat is how often they hear that they are connected,
	// 15 s when 0.
	MaxFollowers int
	Heartbeat    time.Duration
	// Stopping is closed when answers that have no end should end; may be nil.
	Stopping <-chan struct{}
	// Ready says why the process should get no requests now; nil where it is always ready.
	Ready func(context.Context) error
	// Answering is told of each request, and calls what it returns when that is answered; may be nil.
	Answering func() (done func())
	// Now is used for deadlines of connections too, so it must be close to the machine's clock.
	Now func() time.Time
	Log *slog.Logger
	// Version is this build's, for the OpenAPI document.
	Version string
	// Hosts are the names, beside loopback's, that requests may be for: the listen address and names given by the
	// operator, with or without a port. "*" takes any.
	Hosts []string
	// MediaURL gives the address of a blob for playlists; "/" and its key where nil.
	MediaURL func(domain.Blob) string
	// MediaOrigin is where those addresses lie when not with us ("https://cdn.example.org"), for the page's policy.
	MediaOrigin string
	// MaxSourceBytes refuses a source by its announced length, before any byte is read; 0 does not.
	MaxSourceBytes int64
	// Projections are the read models, for those who keep the server; nil where it keeps none.
	Projections Projections
	// DeadLetters are the messages that were given up on; may be nil.
	DeadLetters DeadLetters
	// Frames makes thumbnails; nil where there is no FFmpeg.
	Frames Frames

	watchable  *watchables
	viewers    *viewers
	thumbnails *thumbnails
	feed       *feed
}

// What a connection may cost. Bodies and answers have rolling deadlines of their own (see slow.go), so that a large
// file on a slow line gets through and a client that stalls does not stay.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// NewHTTPServer returns a server with limits; net/http itself has none.
func NewHTTPServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: handler,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
}
