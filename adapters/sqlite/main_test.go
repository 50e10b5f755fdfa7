package sqlite_test

import (
	"os"
	"strconv"
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
	if dir := os.Getenv("CINELOG_TEST_REBUILD_IN"); dir != "" {
		rate, _ := strconv.Atoi(os.Getenv("CINELOG_TEST_RATE"))
		rebuildUntilKilled(dir, rate)
		return
	}
	if every := os.Getenv("CINELOG_TEST_TICK"); every != "" {
		tickUntilKilled(every)
		return
	}
	goleak.VerifyTestMain(m)
}
