package deploy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// patience is for a busy machine; what is waited for takes seconds.
const patience = 10 * time.Minute

// TestServicesRun runs the command of each service with its environment, in the order of their dependencies, as a
// process beside stand-ins; then it uploads a clip, and asks for everybody's health as the containers' checks do.
func TestServicesRun(t *testing.T) {
	dir := t.TempDir()
	i := &installation{dir: dir, binary: build(t, "./cmd/cinelog")}
	i.places = startStandIns(t)
	project := load(t)
	if err := project.ForEachService(nil, func(_ string, s *types.ServiceConfig) error {
		switch {
		case !isCinelog(*s):
		case oneShot(*s):
			i.run(t, *s, s.Command...)
		default:
			for range s.GetScale() {
				i.start(t, *s)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(i.started) != 7 {
		t.Fatalf("%d processes have started, want 7", len(i.started))
	}

	clip := filepath.Join(dir, "clip.mp4")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-pix_fmt", "yuv420p", "file:"+clip)
	api := slices.IndexFunc(i.started, func(p started) bool { return p.address != "" })
	said := i.run(t, i.started[api].service, "upload", "--json", "--ready", "--server", i.started[api].address, clip)
	var uploaded struct{ Status string }
	if err := json.Unmarshal([]byte(said), &uploaded); err != nil || uploaded.Status != "ready" {
		t.Errorf("the upload is %q, %v", said, err)
	}
	for _, p := range i.started {
		i.mustBeHealthy(t, p)
	}
}

// startStandIns starts what the services talk to, and gives the addresses that take the place of those in .env.
func startStandIns(t *testing.T) *strings.Replacer {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), build(t, "./test/backends/demo"), "--standins")
	cmd.Dir, cmd.Stderr, cmd.SysProcAttr = root, os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the stand-ins ended: %v", err)
		}
	})
	at := map[string]string{}
	for lines := bufio.NewScanner(out); len(at) < 10 && lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		at[name] = strings.Trim(value, "'")
	}
	_, s3, _ := strings.Cut(at["CINELOG_BLOBS"], "endpoint=")
	mongo, err := url.Parse(at["CINELOG_LOG"])
	if err != nil || mongo.Host == "" || s3 == "" {
		t.Fatalf("the stand-ins are at %v", at)
	}
	return strings.NewReplacer(
		"mongodb:27017", mongo.Host, "?replicaSet=rs0", "", // the stand-in is no replica set
		"http://sns-sqs:4100", at["AWS_ENDPOINT_URL_SNS"], "http://s3:9000", s3, "http://127.0.0.1:9000", s3,
	)
}

// installation is what the services run on.
type installation struct {
	dir, binary string
	places      *strings.Replacer // names of services to the addresses of the stand-ins
	started     []started
}

type started struct {
	service types.ServiceConfig
	address string // of its HTTP server
}

func (i *installation) command(t *testing.T, s types.ServiceConfig, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, i.binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CINELOG_DATA=" + filepath.Join(i.dir, fmt.Sprint("data", len(i.started)))}
	for key, value := range s.Environment {
		cmd.Env = append(cmd.Env, key+"="+i.places.Replace(*value))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd
}

// run runs a command to its end, in a folder of its own.
func (i *installation) run(t *testing.T, s types.ServiceConfig, args ...string) string {
	t.Helper()
	cmd := i.command(t, s, args...)
	cmd.Env = append(cmd.Env, "CINELOG_DATA="+t.TempDir())
	said := &strings.Builder{}
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: cinelog %q: %v\n%s%s", s.Name, args, err, out, said)
	}
	return string(out)
}

// start starts a server and waits until it serves. It ends with the test.
func (i *installation) start(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	args := slices.Clone(s.Command)
	if at := slices.Index(args, "--listen"); at >= 0 {
		args[at+1] = "127.0.0.1:0" // every container has a network of its own; processes share one
	}
	cmd := i.command(t, s, args...)
	said := &strings.Builder{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("%s ended: %v\n%s", s.Name, err, said)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: cinelog %q did not start: %v\n%s", s.Name, args, err, said)
	}
	i.started = append(i.started, started{s, regexp.MustCompile(`http://\S+`).FindString(line)})
}

// mustBeHealthy does what the container's health check does.
func (i *installation) mustBeHealthy(t *testing.T, p started) {
	t.Helper()
	check := p.service.HealthCheck.Test
	switch {
	case len(check) > 2 && check[0] == "CMD" && check[1] == "cinelog":
		i.run(t, p.service, check[2:]...)
	case len(check) > 2 && check[0] == "CMD" && check[1] == "wget":
		at, err := url.Parse(check[len(check)-1])
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.address+at.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s answers %s", p.service.Name, check, res.Status)
		}
	default:
		t.Errorf("%s: nobody here knows %q", p.service.Name, check)
	}
}

// build builds a program as the Dockerfile builds ours.
func build(t *testing.T, what string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(what))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, what)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-nostdin", "-v", "error", "-y"}, args...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
}
