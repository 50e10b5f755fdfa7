package web

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// New returns the handler of the public listener. It panics on a mistake in the routes, never on input.
func New(server Server) http.Handler {
	s := &server
	s.thumbnails, s.feed, s.watchable, s.viewers = newThumbnails(), newFeed(s), &watchables{}, &viewers{}
	r := chi.NewRouter()
	r.Use(s.recovered, s.answering, securityHeaders, s.knownHost, playableAnywhere, sameSite(), readableURL, middleware.GetHead)
	r.NotFound(notFound)
	r.MethodNotAllowed(notAllowed(r))
	api := humachi.New(r, s.apiConfig())

	const video = "/v1/videos/{id}"
	huma.Register(api, body(op("create-video", "POST", "/v1/videos", 201, "Create a video")), s.create)
	huma.Register(api, op("search-videos", "GET", "/v1/videos", 200, "Search videos"), s.search)
	huma.Register(api, op("get-video", "GET", video, 200, "Get a video", 304), s.get)
	huma.Register(api, body(op("change-video", "PATCH", video, 200, "Change what is said about a video", 412)), s.change)
	huma.Register(api, op("delete-video", "DELETE", video, 204, "Delete a video"), s.remove)
	huma.Register(api, upload(op("upload-source", "PUT", video+"/source", 202, "Upload the file", 409, 413)), s.uploadSource)
	huma.Register(api, op("get-status", "GET", video+"/status", 200, "Get how far a video is"), s.status)
	huma.Register(api, op("get-history", "GET", video+"/events", 200, "Get a video's events"), s.history)
	huma.Register(api, op("publish-video", "POST", video+"/publish", 200, "Publish a video", 409), s.publish)
	huma.Register(api, op("unpublish-video", "POST", video+"/unpublish", 200, "Take a publication back"), s.unpublish)
	huma.Register(api, op("transcode-video", "POST", video+"/transcode", 202, "Transcode again", 409), s.transcode)
	huma.Register(api, file(op("follow-events", "GET", "/v1/events", 200, "Follow the events of all videos, as server-sent events", 422, 503), "text/event-stream"), s.follow)
	const webhook = "/v1/webhooks/{id}"
	huma.Register(api, body(op("create-webhook", "POST", "/v1/webhooks", 201, "Be told of events", 409)), s.createWebhook)
	huma.Register(api, op("list-webhooks", "GET", "/v1/webhooks", 200, "List who is told of events"), s.listWebhooks)
	huma.Register(api, op("get-webhook", "GET", webhook, 200, "Get an endpoint"), s.getWebhook)
	huma.Register(api, body(op("change-webhook", "PATCH", webhook, 200, "Change an endpoint")), s.changeWebhook)
	huma.Register(api, op("delete-webhook", "DELETE", webhook, 204, "Tell an endpoint no more"), s.removeWebhook)
	huma.Register(api, op("rotate-webhook-secret", "POST", webhook+"/secret", 200, "Give an endpoint a new secret; the one before signs for 24 h more"), s.rotateWebhook)
	huma.Register(api, op("test-webhook", "POST", webhook+"/test", 200, "Send an endpoint a message that only tests it"), s.testWebhook)
	huma.Register(api, op("list-deliveries", "GET", webhook+"/deliveries", 200, "List what an endpoint was told, newest first"), s.listDeliveries)
	huma.Register(api, body(op("redeliver", "POST", webhook+"/redeliver", 202, "Tell an endpoint again")), s.redeliver)
	huma.Register(api, takesBeacons(op("send-beacons", "POST", beaconsPath, 202, "Tell of a view, as a player")), s.takeBeacons)
	const figures = "/v1/analytics/"
	huma.Register(api, figuresOp(api, op("get-totals", "GET", figures+"totals", 200, "Get figures about everything"), TotalsAnswer{}), s.totals)
	huma.Register(api, figuresOp(api, op("get-timeseries", "GET", figures+"timeseries", 200, "Get figures by hour or day"), SeriesAnswer{}), s.timeseries)
	huma.Register(api, figuresOp(api, op("get-top", "GET", figures+"top", 200, "Get the videos that are watched most"), TopAnswer{}), s.top)
	huma.Register(api, figuresOp(api, op("get-video-figures", "GET", figures+"videos/{id}", 200, "Get how a video is watched"), VideoFiguresAnswer{}), s.videoFigures)

	huma.Register(api, file(op("play", "GET", "/play/{id}/master.m3u8", 200, "Multivariant playlist", 403), hls), s.master)
	huma.Register(api, file(op("play-rendition", "GET", "/play/{id}/{rendition}.m3u8", 200, "Media playlist", 403), hls), s.mediaPlaylist)
	huma.Register(api, file(op("play-dash", "GET", "/play/{id}/manifest.mpd", 200, "MPEG-DASH manifest, once the video is complete", 403), dash), s.manifest)
	huma.Register(api, file(op("get-poster", "GET", "/play/{id}/poster.jpg", 200, "Poster", 403), "image/jpeg"), s.poster)
	huma.Register(api, file(op("get-thumbnail", "GET", "/play/{id}/thumbnail.jpg", 200, "The picture at a time", 403, 422, 501, 503), "image/jpeg"), s.thumbnail)
	huma.Register(api, file(op("get-storyboard", "GET", "/play/{id}/storyboard.vtt", 200, "Storyboard: which tile of its image shows which moment", 403), vtt), s.storyboard)
	huma.Register(api, file(op("get-storyboard-image", "GET", "/play/{id}/storyboard.jpg", 200, "Image of the storyboard", 403), "image/jpeg"), s.storyboardImage)
	huma.Register(api, file(op("get-captions", "GET", "/play/{id}/captions/{name}.vtt", 200, "Captions, as a video's answer lists them", 403), vtt), s.caption)
	huma.Register(api, file(op("get-chapters", "GET", "/play/{id}/chapters.vtt", 200, "Chapters", 403), vtt), s.chapters)
	huma.Register(api, file(op("get-chapters-json", "GET", "/play/{id}/chapters.json", 200, "Chapters, as Apple's players read them", 403), "application/json"), s.chaptersJSON)
	huma.Register(api, file(op("get-preview", "GET", "/play/{id}/preview.webp", 200, "Moving preview", 403), "image/webp"), s.preview)

	const admin, projection = "/v1/admin", "/v1/admin/projections/{name}"
	huma.Register(api, op("list-projections", "GET", admin+"/projections", 200, "List the projections and how far they are"), s.listProjections)
	huma.Register(api, op("get-projection", "GET", projection, 200, "Get how a projection stands"), s.getProjection)
	huma.Register(api, op("pause-projection", "POST", projection+"/pause", 200, "Have a projection stop where it is"), s.pauseProjection)
	huma.Register(api, op("resume-projection", "POST", projection+"/resume", 200, "Have a projection go on, or try again"), s.resumeProjection)
	huma.Register(api, body(op("skip-event", "POST", projection+"/skip", 200, "Have a projection go without an event")), s.skipEvent)
	huma.Register(api, body(op("start-replay", "POST", admin+"/replays", 202, "Rebuild a projection from the log", 409)), s.startReplay)
	huma.Register(api, op("list-replays", "GET", admin+"/replays", 200, "List replays, the newest first"), s.listReplays)
	huma.Register(api, op("get-replay", "GET", admin+"/replays/{id}", 200, "Get how far a replay is"), s.getReplay)
	huma.Register(api, op("cancel-replay", "DELETE", admin+"/replays/{id}", 202, "Call a replay off", 409), s.cancelReplay)
	const letter = admin + "/dlq/{id}"
	huma.Register(api, op("list-dead-letters", "GET", admin+"/dlq", 200, "List the messages that were given up on, oldest first", 422, 503), s.listLetters)
	huma.Register(api, body(op("redrive-dead-letters", "POST", admin+"/dlq/redrive", 200, "Send dead letters again, of each video in order; all with an empty object", 503)), s.redriveLetters)
	huma.Register(api, op("get-dead-letter", "GET", letter, 200, "Get a dead letter, with its event", 503), s.getLetter)
	huma.Register(api, op("redrive-dead-letter", "POST", letter+"/redrive", 202, "Send a dead letter again, as if it was new", 503), s.redriveLetter)
	huma.Register(api, op("drop-dead-letter", "DELETE", letter, 204, "Give a dead letter up for good", 503), s.dropLetter)

	huma.Register(api, op("erase-video", "POST", admin+"/videos/{id}/erase", 200, "Take what was said about a deleted video out of the log and its copies, for good", 409, 503), s.erase)

	huma.Register(api, op("healthz", "GET", "/healthz", 200, "Does the process answer?"), s.healthy)
	huma.Register(api, op("readyz", "GET", "/readyz", 200, "Should the process get requests?", 503), s.ready)
	r.Get("/media/*", s.serveMedia)
	media := file(op("get-media", "GET", "/media/{key}", 200, "Segments, by the addresses that playlists give"), "video/iso.segment")
	media.Parameters = []*huma.Param{{Name: "key", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	api.OpenAPI().AddOperation(&media)
	s.pages(r)
	r.Get("/openapi.json", document(api))
	return r
}

func op(id, method, path string, status int, summary string, errs ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, DefaultStatus: status, Summary: summary,
		Errors: append(errs, http.StatusBadRequest, http.StatusNotFound),
	}
}

// body is for an operation that takes JSON: it must be there, be called JSON, and is at most 1 MiB (huma's default).
func body(o huma.Operation) huma.Operation {
	o.Errors = append(o.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	o.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		if r.ContentLength != 0 && r.Header.Get("Content-Type") == "" {
			writeProblem(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
			return
		}
		next(ctx)
	}}
	return o
}

// upload is for an operation whose body is a file.
func upload(o huma.Operation) huma.Operation {
	o.RequestBody = &huma.RequestBody{
		Required: true, Description: "The file, as it is",
		Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}
	return o
}

// file is for an operation that answers with something else than JSON.
func file(o huma.Operation, mime string) huma.Operation {
	o.Responses = map[string]*huma.Response{"200": {
		Description: o.Summary,
		Content:     map[string]*huma.MediaType{mime: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	return o
}

func (s *Server) apiConfig() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{Info: &huma.Info{
			Title: "Cinelog", Version: s.Version,
			Description: "Upload videos, follow them through the pipeline, search them, play them. Errors are RFC 9457 problem documents.",
		}},
		Formats:                      map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{plainProblems},
	}
}

// document serves the OpenAPI document, made once.
func document(api huma.API) http.HandlerFunc {
	text, err := json.Marshal(api.OpenAPI())
	if err != nil {
		panic(fmt.Sprintf("the OpenAPI document: %v", err)) // the routes are a constant of this program
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(text)
	}
}
