// Package backends gives tests a MongoDB, an SNS/SQS and an S3 to talk to: servers from test/servers, built on first
// use, started on loopback by the test process and ended with it. CINELOG_TEST_MONGODB_URI, CINELOG_TEST_AWS_ENDPOINT
// and CINELOG_TEST_S3_ENDPOINT (with the usual AWS_* variables for keys) name others to be used instead.
//
// A server that does not start fails the test: what was not tested must not look as if it had been.
package backends

import (
	"crypto/rand"
	"net/url"
	"os"
	"sync"
	"testing"
)

// Region is the AWS region that the servers of this package go by.
const Region = "us-east-1"

// The keys of our own S3 server; the SNS/SQS server takes any.
const (
	accessKey = "cinelog"
	secretKey = "cinelog-secret" // of a server on loopback that lives as long as a test
)

// shared holds the servers of this test process: it ends with the process, and so do they.
var shared [3]struct { //nolint:gochecknoglobals // a server per process is the point
	once   sync.Once
	server *Server
	err    error
}

func sharedServer(tb testing.TB, k kind) *Server {
	tb.Helper()
	s := &shared[k]
	s.once.Do(func() { s.server, s.err = start(k, "127.0.0.1:0", "") })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// Mongo returns the mongodb:// address of a server, with a database that nobody else has.
func Mongo(tb testing.TB) string {
	tb.Helper()
	at := os.Getenv("CINELOG_TEST_MONGODB_URI")
	if at == "" {
		at = sharedServer(tb, mongo).URL
	}
	return withDatabase(tb, at)
}

// withDatabase puts a new database into the address of a server.
func withDatabase(tb testing.TB, at string) string {
	tb.Helper()
	u, err := url.Parse(at)
	if err != nil {
		tb.Fatalf("CINELOG_TEST_MONGODB_URI: %v", err)
	}
	u.Path = "/cinelog_test_" + rand.Text()
	return u.String()
}

// AWS returns the endpoint of SNS and SQS. Names of topics and queues are shared by all tests of the process (by more
// where CINELOG_TEST_AWS_ENDPOINT is set): a test makes its own up.
func AWS(tb testing.TB) string {
	tb.Helper()
	if at := os.Getenv("CINELOG_TEST_AWS_ENDPOINT"); at != "" {
		return at
	}
	return sharedServer(tb, aws).URL
}

// S3 returns the endpoint of an S3 and the keys for it. Names of buckets are shared as those of AWS are.
func S3(tb testing.TB) (endpoint, access, secret string) {
	tb.Helper()
	if at := os.Getenv("CINELOG_TEST_S3_ENDPOINT"); at != "" {
		return at, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	}
	return sharedServer(tb, s3).URL, accessKey, secretKey
}

// StartMongo starts a server for one test, which may stop it. Its URL names a database.
func StartMongo(tb testing.TB) *Server {
	tb.Helper()
	s := own(tb, mongo)
	s.URL = withDatabase(tb, s.URL)
	return s
}

// StartAWS starts an SNS/SQS server for one test, which may stop it.
func StartAWS(tb testing.TB) *Server {
	tb.Helper()
	return own(tb, aws)
}

// StartS3 starts an S3 server for one test, which may stop it; keys as S3 returns them.
func StartS3(tb testing.TB) (s *Server, access, secret string) {
	tb.Helper()
	return own(tb, s3), accessKey, secretKey
}

func own(tb testing.TB, k kind) *Server {
	tb.Helper()
	s, err := start(k, "127.0.0.1:0", tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(tb) })
	return s
}
