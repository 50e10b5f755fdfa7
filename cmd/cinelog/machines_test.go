package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/test/backends"
)

// machines are processes that share nothing but MongoDB, SNS/SQS and S3, as if each ran on a machine of its own.
type machines struct {
	t      testing.TB
	dir    string
	binary string
	name   string   // of the bucket, and the beginning of the names of topics and queues
	places []string // the flags that say where things are
	env    []string
	servers

	processes []*serverProcess
}

// servers are the addresses of what the machines share, and the keys to it.
type servers struct{ mongo, aws, s3, access, secret string }

// sharedServers are those that all tests of this process share.
func sharedServers(t testing.TB) servers {
	t.Helper()
	s := servers{mongo: backends.Mongo(t), aws: backends.AWS(t)}
	s.s3, s.access, s.secret = backends.S3(t)
	return s
}

func newMachines(t testing.TB, binary string, at servers) *machines {
	t.Helper()
	name := "t" + strings.ToLower(rand.Text()[:10])
	m := &machines{t: t, dir: t.TempDir(), binary: binary, name: name, servers: at}
	m.env = []string{
		"AWS_REGION=" + backends.Region, "AWS_ACCESS_KEY_ID=" + at.access, "AWS_SECRET_ACCESS_KEY=" + at.secret,
		"AWS_ENDPOINT_URL_SNS=" + at.aws, "AWS_ENDPOINT_URL_SQS=" + at.aws, "AWS_ENDPOINT_URL_STS=" + at.aws,
	}
	m.places = []string{
		"--log", at.mongo, "--views", at.mongo, "--bus", "aws:" + name,
		"--blobs", "s3://" + name + "?path-style=true&endpoint=" + url.QueryEscape(at.s3),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(m.logs())
		}
	})
	return m
}

// run runs a command of the program to its end.
func (m *machines) run(args ...string) (string, error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.binary, append(append([]string{"--data", filepath.Join(m.dir, "cli")}, m.places...), args...)...)
	cmd.Env = append(os.Environ(), m.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machines) mustRun(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("cinelog %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// start starts a process with roles, and perhaps more flags.
func (m *machines) start(roles string, flags ...string) *serverProcess {
	m.t.Helper()
	name := filepath.Join(m.dir, fmt.Sprintf("%02d-%s", len(m.processes), strings.ReplaceAll(roles, ",", "-")))
	flags = slices.Concat(m.places, []string{"--roles", roles}, flags)
	p := startProcess(m.t, m.env, m.binary, name, name+".log", flags...)
	m.processes = append(m.processes, p)
	return p
}

// logs are what all processes have written, for when a test fails.
func (m *machines) logs() string {
	files, _ := filepath.Glob(filepath.Join(m.dir, "*.log"))
	var all bytes.Buffer
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, `"level":"DEBUG"`) {
				fmt.Fprintf(&all, "%s: %s", filepath.Base(f), line)
			}
		}
	}
	return all.String()
}

func TestManyProcesses(t *testing.T) {
	t.Parallel()
	m := newMachines(t, buildBinary(t), sharedServers(t))
	if out, err := m.run("serve", "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(out, "cinelog provision") {
		t.Fatalf("without provisioning: %v\n%s", err, out)
	}
	if out := m.mustRun("provision", "--dry-run"); !strings.Contains(out, "would create") {
		t.Errorf("a dry run says\n%s", out)
	}
	m.mustRun("provision")
	if out := m.mustRun("provision"); !strings.Contains(out, "Nothing to do") {
		t.Errorf("provisioning again does\n%s", out)
	}
	apis := []*serverProcess{m.start("api"), m.start("api")}
	for range 2 {
		m.start("transcoder")
		m.start("relay,projector,analytics")
	}
	first, second := &client{server: apis[0].address(t)}, &client{server: apis[1].address(t)}
	v, err := first.upload(t.Context(), &console{out: io.Discard, err: io.Discard}, m.clip(9, "640x360"), "Many machines", nil, true)
	if err != nil {
		t.Fatal(err)
	}

	var found struct {
		Items []answer `json:"items"`
	}
	second.position = first.position
	if err := second.call(t.Context(), http.MethodGet, "/v1/videos?q=machin", nil, &found); err != nil || len(found.Items) != 1 {
		t.Fatalf("the other API server finds %+v, %v", found, err)
	}
	m.mustPlayFromS3(second.server, v)
	followsTheRules(t, second.server, v)
	if out := m.mustRun("verify"); !strings.Contains(out, "Nothing wrong") {
		t.Errorf("verify: %s", out)
	}
	for _, rebuilt := range []string{"catalog", "playback", "analytics"} {
		if out := m.mustRun("replay", rebuilt); !strings.Contains(out, "equal to the one in use") {
			t.Errorf("replay: %s", out)
		}
	}
	if out := m.mustRun("dlq", "ls"); !strings.Contains(out, "No dead letters") {
		t.Errorf("dead letters: %s", out)
	}
	view := uuid.NewString()
	for _, api := range []*client{first, second, second} { // of one viewer, whichever server is told
		if err := sendBeacon(t.Context(), api.server, v.ID, view); err != nil {
			t.Fatal(err)
		}
	}
	if err := sendBeacon(t.Context(), first.server, v.ID, uuid.NewString()); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string { // analytics has queues of its own
		var got struct {
			Uploads, Processed, Publications int
			Views, Viewers                   int
		}
		if err := second.call(t.Context(), http.MethodGet, "/v1/analytics/totals", nil, &got); err != nil {
			return err.Error()
		}
		if got.Uploads != 1 || got.Processed != 1 || got.Publications != 1 || got.Views != 2 || got.Viewers != 1 {
			return fmt.Sprintf("figures: %+v", got)
		}
		return ""
	})
}

// mustPlayFromS3 follows the playlists to a segment, which must lie in storage itself.
func (m *machines) mustPlayFromS3(server string, v answer) {
	m.t.Helper()
	get := func(at string) string {
		m.t.Helper()
		req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, at, nil)
		if err != nil {
			m.t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			m.t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			m.t.Fatalf("%s: %s %v %.200s", at, res.Status, err, body)
		}
		return string(body)
	}
	master := get(server + v.Playback.HLS)
	rendition := regexp.MustCompile(`(?m)^[0-9a-z]+\.m3u8$`).FindString(master)
	media := get(server + strings.TrimSuffix(v.Playback.HLS, "master.m3u8") + rendition)
	segment := regexp.MustCompile(`(?m)^http.*\.m4s.*$`).FindString(media)
	if segment == "" || strings.HasPrefix(segment, server) {
		m.t.Fatalf("no segment lies in storage:\n%s", media)
	}
	if body := get(segment); !strings.Contains(body[:64], "moof") && !strings.Contains(body[:64], "styp") {
		m.t.Errorf("%s is no segment: %.40q", segment, body)
	}
}
