// Package deploy_test checks what Docker cannot be asked for where none runs: docker-compose.yml and the Dockerfiles are
// read by Docker's own libraries, and the commands of all services are run as processes.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// load reads docker-compose.yml with .env as `docker compose config` does, but for the environment of this process.
func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, cli.WithEnvFiles(), cli.WithDotEnv)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// isCinelog says whether a service runs our program.
func isCinelog(s types.ServiceConfig) bool { return s.Image == "cinelog" && len(s.Entrypoint) == 0 }

func oneShot(s types.ServiceConfig) bool { return s.Restart == "no" }

func TestCompose(t *testing.T) {
	t.Parallel()
	project := load(t)
	roles, built, local := map[string]int{}, map[string]int{}, map[string]string{}
	for name, s := range project.Services {
		idle := len(s.Entrypoint) > 0 && s.Entrypoint[0] == "sleep"
		if (s.HealthCheck == nil || s.HealthCheck.Disable) && !oneShot(s) && !idle {
			t.Errorf("%s has no health check", name)
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 ||
			s.Deploy.Resources.Limits.NanoCPUs == 0 || s.Deploy.Resources.Limits.Pids == 0 {
			t.Errorf("%s lacks a limit", name)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s beyond this machine", name, p.Published)
			}
		}
		switch {
		case s.Build != nil:
			built[s.Image]++
		case s.PullPolicy == types.PullPolicyNever:
			local[s.Image] = name
		case !regexp.MustCompile(`:\d`).MatchString(s.Image):
			t.Errorf("%s: %s is not pinned by tag", name, s.Image)
		}
		for key, value := range s.Environment {
			if value == nil {
				t.Errorf("%s: .env has no %s", name, key)
			}
		}
		for on, d := range s.DependsOn {
			if c := project.Services[on]; d.Condition == types.ServiceConditionHealthy && (c.HealthCheck == nil || c.HealthCheck.Disable) {
				t.Errorf("%s waits for the health of %s, which has no check", name, on)
			}
		}
		if !isCinelog(s) {
			continue
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") {
			t.Errorf("%s may write to its root, or has capabilities", name)
		}
		if at := slices.Index(s.Command, "--roles"); at >= 0 {
			for role := range strings.SplitSeq(s.Command[at+1], ",") {
				roles[role] += s.GetScale()
			}
		}
	}
	for image, name := range local {
		if built[image] != 1 { // two that build the same may be in each other's way
			t.Errorf("%s: %d services build %s, want 1", name, built[image], image)
		}
	}
	for role, least := range map[string]int{"api": 2, "relay": 1, "projector": 1, "transcoder": 2, "analytics": 1, "webhooks": 1} {
		if roles[role] < least {
			t.Errorf("%d containers are %s, want %d", roles[role], role, least)
		}
	}
}

// TestProxyKnowsTheAPI compares addresses that stand in two files.
func TestProxyKnowsTheAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy/nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var known, listening []string
	for _, found := range regexp.MustCompile(`(?m)^\s*server (\S+);`).FindAllSubmatch(text, -1) {
		known = append(known, string(found[1]))
	}
	project := load(t)
	for name, s := range project.Services {
		at := slices.Index(s.Command, "--listen")
		if at < 0 {
			continue
		}
		listening = append(listening, s.Command[at+1])
		if check := s.HealthCheck.Test; check[len(check)-1] != "http://"+s.Command[at+1]+"/readyz" {
			t.Errorf("%s listens on %s, and its health is asked at %s", name, s.Command[at+1], check[len(check)-1])
		}
	}
	slices.Sort(listening)
	if len(known) == 0 || !slices.Equal(known, listening) {
		t.Errorf("the proxy asks %q, the API listens on %q", known, listening)
	}
	listen := regexp.MustCompile(`(?m)^\s*listen (\d+);`).FindSubmatch(text)
	if front := project.Services["front"]; listen == nil || len(front.Ports) != 1 || string(listen[1]) != "8080" || front.Ports[0].Target != 8080 {
		t.Errorf("the proxy listens on %s, %v is published", listen, front.Ports)
	}
}
