package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cinelog/cinelog/domain"
)

type uploadCmd struct {
	Files  []string `arg:"" help:"Video files." type:"existingfile"`
	Server string   `help:"Address of the server." default:"http://127.0.0.1:8080" env:"CINELOG_SERVER"`
	Title  string   `help:"Title (default: the file's name)."`
	Tag    []string `help:"Tags."`
	Ready  bool     `help:"Wait until all renditions are there, not only until it can be played."`
}

// Run uploads the files one after the other.
func (u uploadCmd) Run(ctx context.Context, c *console) error {
	cl := &client{server: strings.TrimSuffix(u.Server, "/")}
	var failed error
	for _, f := range u.Files {
		v, err := cl.upload(ctx, c, f, u.Title, u.Tag, u.Ready)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f, err))
			continue
		}
		if c.json {
			line, err := json.Marshal(map[string]any{"file": f, "id": v.ID, "status": v.Status, "url": cl.watch(v.ID), "hls": cl.server + v.Playback.HLS})
			if err != nil {
				return err
			}
			c.printf("%s\n", line)
			continue
		}
		c.printf("%s: %s\n  watch  %s\n  HLS    %s%s\n", f, v.Status, cl.watch(v.ID), cl.server, v.Playback.HLS)
	}
	return failed
}

// client talks to a server, and reads what it wrote: queries name the position of the newest command.
type client struct {
	server   string
	position string // empty before the first command
}

// answer is the part of a video's JSON that the command line needs.
type answer struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Status   string `json:"status"`
	Playable bool   `json:"playable"`
	Playback struct {
		HLS  string `json:"hls"`
		DASH string `json:"dash"`
	} `json:"playback"`
	Error *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
	Renditions []struct {
		Name   string `json:"name"`
		Codecs string `json:"codecs"`
	} `json:"renditions"`
}

// progress is the part of a video's status that the command line needs.
type progress struct {
	Encoding struct {
		Playable bool    `json:"playable"`
		Progress float64 `json:"progress"`
	} `json:"encoding"`
}

func (cl *client) watch(id string) string { return cl.server + "/#/v/" + id }

func (cl *client) upload(ctx context.Context, c *console, path, title string, tags []string, ready bool) (answer, error) {
	f, err := os.Open(path)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return answer{}, err
	}
	if title == "" {
		title = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	var v answer
	if err := cl.call(ctx, http.MethodPost, "/v1/videos", map[string]any{"title": title, "tags": tags}, &v); err != nil {
		return v, err
	}
	bars := mpb.New(mpb.WithOutput(barOutput(c)), mpb.WithWidth(40))
	send := bars.AddBar(info.Size(), mpb.PrependDecorators(decor.Name("upload ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
	encode := bars.AddBar(1000, mpb.PrependDecorators(decor.Name("encode ")), mpb.AppendDecorators(decor.Percentage()))
	defer func() {
		send.Abort(false)
		encode.Abort(false)
		bars.Wait()
	}()
	if err := cl.put(ctx, v.ID, filepath.Base(path), send.ProxyReader(f), info.Size()); err != nil {
		return v, err
	}
	return cl.wait(ctx, v.ID, ready, func(p float64) { encode.SetCurrent(int64(1000 * p)) })
}

// barOutput is where progress bars go: nowhere, unless a person looks.
func barOutput(c *console) io.Writer {
	if f, ok := c.err.(*os.File); ok && !c.json {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return f
		}
	}
	return io.Discard
}

func (cl *client) put(ctx context.Context, id, name string, body io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut,
		cl.server+"/v1/videos/"+id+"/source?filename="+url.QueryEscape(name), body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue")
	return cl.do(req, nil)
}

// longestAway is for how long a server may say "not now" to somebody who waits for a video.
const longestAway = time.Minute

// wait polls a video until it is playable (or ready), once a second at most.
func (cl *client) wait(ctx context.Context, id string, ready bool, report func(float64)) (answer, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for answered := time.Now(); ; {
		var v answer
		err := cl.call(ctx, http.MethodGet, "/v1/videos/"+id, nil, &v)
		switch {
		case errors.Is(err, domain.ErrUnavailable) && time.Since(answered) < longestAway:
		case err != nil:
			return v, err
		default:
			answered = time.Now()
		}
		switch {
		case v.Error != nil && v.Status == "failed":
			return v, fmt.Errorf("the video cannot be played: %s: %s", v.Error.Code, v.Error.Detail)
		case v.Status == "ready", !ready && v.Playable:
			report(1)
			return v, nil
		}
		var p progress
		if err := cl.call(ctx, http.MethodGet, "/v1/videos/"+id+"/status", nil, &p); err == nil {
			report(p.Encoding.Progress)
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-tick.C:
		}
	}
}

func (cl *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, cl.server+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return cl.do(req, out)
}

func (cl *client) do(req *http.Request, out any) error {
	if req.Method == http.MethodGet && cl.position != "" {
		req.Header.Set("Cinelog-Min-Position", cl.position)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w (is the server running? start it with: cinelog serve)", err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		var problem struct {
			Title  string `json:"title"`
			Detail string `json:"detail"`
		}
		_ = json.Unmarshal(b, &problem)
		if res.StatusCode == http.StatusServiceUnavailable {
			return fmt.Errorf("the server answered %s: %s: %w", res.Status, problem.Detail, domain.ErrUnavailable)
		}
		return fmt.Errorf("the server answered %s: %s", res.Status, problem.Detail)
	}
	if at := res.Header.Get("Cinelog-Position"); at != "" && req.Method != http.MethodGet {
		cl.position = at
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}
