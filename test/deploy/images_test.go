package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestDockerfiles checks what can be wrong without a network: syntax, names of stages, what is copied, who runs it.
func TestDockerfiles(t *testing.T) {
	t.Parallel()
	ignored := dockerignore(t)
	targets := map[string][]string{} // of each Dockerfile
	for _, s := range load(t).Services {
		if s.Build != nil {
			targets[s.Build.Dockerfile] = append(targets[s.Build.Dockerfile], s.Build.Target)
		}
	}
	if len(targets) != 2 {
		t.Errorf("%d Dockerfiles, want 2", len(targets))
	}
	for file, wanted := range targets {
		stages := stages(t, file)
		names := []string{""} // the last one has no name to be asked for by
		for i, stage := range stages {
			if !slices.Contains(names, stage.BaseName) && !regexp.MustCompile(`^[a-z]+:[a-z0-9.-]+$`).MatchString(stage.BaseName) ||
				regexp.MustCompile(`:latest$`).MatchString(stage.BaseName) {
				t.Errorf("%s: %s is not pinned by tag", file, stage.BaseName)
			}
			for _, command := range stage.Commands {
				switch c := command.(type) {
				case *instructions.CopyCommand:
					if c.From != "" {
						if !slices.Contains(names, c.From) {
							t.Errorf("%s copies from %s, which no stage before is called", file, c.From)
						}
						continue
					}
					for _, path := range c.SourcePaths {
						mustBeSent(t, ignored, file, path)
					}
				}
			}
			if names = append(names, stage.Name); i < len(stages)-1 && !slices.Contains(wanted, stage.Name) {
				continue // only builds
			}
			mustBeSafe(t, file, stage)
		}
		for _, target := range wanted {
			if !slices.Contains(names, target) {
				t.Errorf("%s has no stage %s", file, target)
			}
		}
	}
}

func stages(t *testing.T, file string) []instructions.Stage {
	t.Helper()
	f, err := os.Open(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%s: %s", file, w.Short)
	}
	stages, args, err := instructions.Parse(parsed.AST, nil)
	if err != nil || len(args) > 0 {
		t.Fatalf("%s: %v, %v", file, args, err)
	}
	return stages
}

func dockerignore(t *testing.T) *patternmatcher.PatternMatcher {
	t.Helper()
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return ignored
}

// mustBeSent checks that a path is there, and goes to who builds.
func mustBeSent(t *testing.T, ignored *patternmatcher.PatternMatcher, file, path string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	for _, needed := range []string{path, "cmd/cinelog/main.go", "web/ui/index.html"} {
		if not, err := ignored.MatchesOrParentMatches(filepath.Clean(needed)); err != nil || not {
			t.Errorf("%s: %s is in .dockerignore (%v)", file, needed, err)
		}
	}
}

// mustBeSafe checks that an image which runs does so as somebody else than root, and says how it is.
func mustBeSafe(t *testing.T, file string, stage instructions.Stage) {
	t.Helper()
	var user string
	var health bool
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			health = true
		}
	}
	if user == "" || user == "root" || user == "0" {
		t.Errorf("%s %s runs as %q", file, stage.Name, user)
	}
	if !health {
		t.Errorf("%s %s has no HEALTHCHECK", file, stage.Name)
	}
}
