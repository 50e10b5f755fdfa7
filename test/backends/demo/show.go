package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
)

// video is what the demo reads of a video.
type video struct {
	ID         string     `json:"id"`
	Title      string     `json:"title"`
	Status     string     `json:"status"`
	Renditions []struct{} `json:"renditions"`
	Error      *struct {
		Detail string `json:"detail"`
	} `json:"error"`
}

// show uploads a clip through one API server, and looks for it through the other.
func (d *demo) show(ctx context.Context, first, second string) error {
	clip, err := d.makeClip(ctx)
	if err != nil {
		return err
	}
	d.tell("Uploading a clip of %d s through %s", d.seconds, first)
	out, err := d.command(ctx, "upload", "--json", "--server", first, "--title", "Kubernetes in a minute", "--tag", "demo", clip)
	if err != nil {
		return err
	}
	var uploaded struct{ ID, URL, HLS string }
	if err := json.Unmarshal(out, &uploaded); err != nil {
		return fmt.Errorf("cinelog upload: %w: %s", err, out)
	}
	d.tell("  playable")
	var v video
	if err := until(ctx, func() (bool, error) {
		err := getJSON(ctx, second+"/v1/videos/"+uploaded.ID, &v)
		if err == nil && v.Status == "failed" && v.Error != nil {
			err = fmt.Errorf("the clip was not transcoded: %s", v.Error.Detail)
		}
		return v.Status == "ready", err
	}); err != nil {
		return err
	}
	d.tell("  ready in %d renditions", len(v.Renditions))

	var found struct {
		Items []video `json:"items"`
	}
	if err := until(ctx, func() (bool, error) {
		err := getJSON(ctx, second+"/v1/videos?q=kub", &found)
		return len(found.Items) == 1, err
	}); err != nil {
		return err
	}
	if err := until(ctx, func() (bool, error) { // what plays is a read model of its own, and may be behind the one that lists
		res, err := ask(ctx, uploaded.HLS)
		if err != nil {
			return false, err
		}
		return res.StatusCode != http.StatusNotFound, res.Body.Close()
	}); err != nil {
		return err
	}
	at, bytes, err := d.segment(ctx, uploaded.HLS)
	if err != nil {
		return err
	}
	d.printf("\nWatch it\n  page  %s\n  HLS   %s\n", uploaded.URL, uploaded.HLS)
	d.printf("\nSearch for \"kub\" through the other API server, %s\n  %s  %s  %s\n", second, v.ID, v.Status, found.Items[0].Title)
	d.printf("\nIts first segment is fetched from S3 itself: 200, %d bytes\n  %s\n", bytes, at)
	return nil
}

// segment follows the playlists to the first segment, which must lie in storage, and fetches it.
func (d *demo) segment(ctx context.Context, master string) (at string, bytes int, err error) {
	for _, line := range []string{`(?m)^[^#].*\.m3u8.*$`, `(?m)^[^#].*\.m4s.*$`} {
		playlist, err := get(ctx, master)
		if err != nil {
			return "", 0, err
		}
		name := regexp.MustCompile(line).FindString(string(playlist))
		if name == "" {
			return "", 0, fmt.Errorf("nothing to play in %s:\n%s", master, playlist)
		}
		if at = name; !strings.Contains(name, "://") {
			u, err := url.Parse(master)
			if err != nil {
				return "", 0, err
			}
			u.Path = path.Join(path.Dir(u.Path), name)
			at = u.String()
		}
		master = at
	}
	if !strings.HasPrefix(at, d.cloud.S3) {
		return "", 0, fmt.Errorf("%s is not in S3", at)
	}
	media, err := get(ctx, at)
	return at, len(media), err
}

// until asks twice a second.
func until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func getJSON(ctx context.Context, at string, into any) error {
	body, err := get(ctx, at)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// get fetches what must be there.
func get(ctx context.Context, at string) ([]byte, error) {
	res, err := ask(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %.300s", at, res.Status, body)
	}
	return body, err
}

func ask(ctx context.Context, at string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
