// Command eventdocs writes docs/events anew: the JSON Schema of each version of each event, and asyncapi.yaml. It
// refuses a change that would break those who read events. Run it with "make generate".
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cinelog/cinelog/adapters/eventdocs"
)

func main() {
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "eventdocs:", err)
		os.Exit(1)
	}
}

// run looks for the root of the repository from the working directory upwards.
func run() error {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return eventdocs.Write(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return fmt.Errorf("there is no go.mod above %s", dir)
		}
		dir = parent
	}
	return err
}
