package streamcheck_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/streamcheck"
)

// TestTheDocumentationListsWhatIsChecked: nothing more, nothing less.
func TestTheDocumentationListsWhatIsChecked(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/playback.md")
	must(t, err)
	rows := strings.Count(string(text), "| error |") + strings.Count(string(text), "| warning |")
	if clauses := streamcheck.Clauses(); rows != len(clauses) {
		t.Errorf("docs/playback.md has %d rows for %d rules", rows, len(clauses))
	}
	for _, c := range streamcheck.Clauses() {
		if row := fmt.Sprintf("| %s | %s | %s |\n", c.Clause, c.Severity, c.Text); !strings.Contains(string(text), row) {
			t.Errorf("docs/playback.md lacks: %s", row)
		}
	}
}
