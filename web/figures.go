package web

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/cinelog/cinelog/projections"
)

// EventFigures are sums of what happened to videos.
type EventFigures struct {
	Uploads         int            `json:"uploads"`
	UploadedBytes   int64          `json:"uploaded_bytes"`
	UploadedSeconds float64        `json:"uploaded_seconds" doc:"Length of the videos that were uploaded, as far as it is known"`
	Processed       int            `json:"processed" doc:"Videos that became ready, each time they did"`
	ProcessingP50   float64        `json:"processing_seconds_p50" doc:"From the upload, or the request to encode again, to the last rendition: half of them took no longer"`
	ProcessingP95   float64        `json:"processing_seconds_p95"`
	Renditions      int            `json:"renditions"`
	RenditionBytes  int64          `json:"rendition_bytes"`
	Publications    int            `json:"publications"`
	Failures        map[string]int `json:"failures" doc:"By error code"`
}

// PlayFigures are sums of what players told.
type PlayFigures struct {
	Views          int            `json:"views" doc:"Each counts once, in the span of its first beacon, with all that belongs to it"`
	Viewers        int            `json:"viewers" doc:"Different viewers of each UTC day"`
	WatchSeconds   float64        `json:"watch_seconds"`
	StalledSeconds float64        `json:"stalled_seconds"`
	Stalls         int            `json:"stalls"`
	RebufferRatio  float64        `json:"rebuffer_ratio" doc:"Share of stalled_seconds in stalled_seconds and watch_seconds together"`
	StartupP50     float64        `json:"startup_seconds_p50" doc:"From the wish to play to the first picture: half of the views waited no longer"`
	StartupP95     float64        `json:"startup_seconds_p95"`
	Ended          int            `json:"ended" doc:"Views that came to the end of the video"`
	Completed      int            `json:"completed" doc:"Views that played nine tenths of the video"`
	PlayErrors     map[string]int `json:"play_errors" doc:"Views that an error has ended, by what it was"`
}

func eventFigures(f *projections.Figures) EventFigures {
	if f == nil {
		f = &projections.Figures{}
	}
	return EventFigures{
		Uploads: f.Uploads, UploadedBytes: f.UploadedBytes, UploadedSeconds: f.UploadedLength.Seconds(), Processed: f.Processed,
		ProcessingP50: f.Processing(50).Seconds(), ProcessingP95: f.Processing(95).Seconds(),
		Renditions: f.Renditions, RenditionBytes: f.RenditionBytes, Publications: f.Publications, Failures: byName(f.Failures),
	}
}

func playFigures(f *projections.PlayFigures) PlayFigures {
	if f == nil {
		f = &projections.PlayFigures{}
	}
	return PlayFigures{
		Views: f.Views, Viewers: f.Viewers(), WatchSeconds: f.Watched.Seconds(), StalledSeconds: f.Stalled.Seconds(), Stalls: f.Stalls,
		RebufferRatio: f.RebufferRatio(), StartupP50: f.Startup(50).Seconds(), StartupP95: f.Startup(95).Seconds(),
		Ended: f.Ended, Completed: f.Completed, PlayErrors: byName(f.Errors),
	}
}

func byName[K ~string](counts map[K]int) map[string]int {
	named := make(map[string]int, len(counts))
	for k, n := range counts {
		named[string(k)] = n
	}
	return named
}

// groupAnswers are the groups, that with the most views first.
func groupAnswers(groups projections.Groups) []groupAnswer {
	all := make([]groupAnswer, 0, len(groups))
	for name, f := range groups {
		all = append(all, groupAnswer{name, playFigures(f)})
	}
	slices.SortFunc(all, func(a, b groupAnswer) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), cmp.Compare(a.Group, b.Group))
	})
	return all
}

// row is a line of a table; all lines of one have the same columns.
type row []cell

type cell struct {
	name  string
	value any
}

func (f EventFigures) cells() row {
	return row{
		{"uploads", f.Uploads},
		{"uploaded_bytes", f.UploadedBytes},
		{"uploaded_seconds", f.UploadedSeconds},
		{"processed", f.Processed},
		{"processing_seconds_p50", f.ProcessingP50},
		{"processing_seconds_p95", f.ProcessingP95},
		{"renditions", f.Renditions},
		{"rendition_bytes", f.RenditionBytes},
		{"publications", f.Publications},
		{"failures", f.Failures},
	}
}

func (f PlayFigures) cells() row {
	return row{
		{"views", f.Views},
		{"viewers", f.Viewers},
		{"watch_seconds", f.WatchSeconds},
		{"stalled_seconds", f.StalledSeconds},
		{"stalls", f.Stalls},
		{"rebuffer_ratio", f.RebufferRatio},
		{"startup_seconds_p50", f.StartupP50},
		{"startup_seconds_p95", f.StartupP95},
		{"ended", f.Ended},
		{"completed", f.Completed},
		{"play_errors", f.PlayErrors},
	}
}

func groupRows(by string, groups []groupAnswer) []row {
	rows := make([]row, len(groups))
	for i, g := range groups {
		rows[i] = slices.Concat(row{{by, g.Group}}, g.cells())
	}
	return rows
}

// text is a cell's. One that a spreadsheet would take for a formula has an apostrophe before it.
func (c cell) text() string {
	var text string
	switch v := c.value.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]int:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%s=%d", name, v[name]))
		}
		text = strings.Join(parts, " ")
	default:
		text = fmt.Sprint(v)
	}
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// table answers with JSON or with the same as CSV (RFC 4180), which has a line of names where there are any lines.
func (s *Server) table(format string, answer any, rows []row) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humachi.Unwrap(ctx)
		done := s.allowFor(w, int64(len(rows)*tableRow))
		defer done()
		if format != "csv" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // of plain structs: an error is a connection that is gone
			return
		}
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		w.Header().Set("Content-Disposition", `attachment; filename="figures.csv"`)
		out := csv.NewWriter(w)
		out.UseCRLF = true
		for i, r := range rows {
			line := make([]string, len(r))
			if i == 0 {
				for n, c := range r {
					line[n] = c.name
				}
				_ = out.Write(line)
			}
			for n, c := range r {
				line[n] = c.text()
			}
			_ = out.Write(line)
		}
		out.Flush()
	}}
}

// tableRow is about how many bytes a line has.
const tableRow = 300

// figuresOp is for an operation that answers with a table.
func figuresOp(api huma.API, o huma.Operation, answer any) huma.Operation {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(answer), true, "")
	o.Errors = append(o.Errors, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	o.Responses = map[string]*huma.Response{"200": {
		Description: o.Summary,
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: schema}, "text/csv": {Schema: &huma.Schema{Type: "string"}},
		},
	}}
	return o
}
