package sqlite_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary also be the process that a test kills or limits.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CINELOG_TEST_APPEND_TO"); dir != "" {
		appendUntilKilled(dir)
		return
	}
	if dir := os.Getenv("CINELOG_TEST_FILL_UP"); dir != "" {
		fillUp(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
