package backends_test

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/test/backends"
)

// dial says whether somebody listens at an address.
func dial(t *testing.T, at string) error {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	if !net.ParseIP(u.Hostname()).IsLoopback() {
		t.Errorf("%s is not on loopback", at)
	}
	c, err := net.Dial("tcp", u.Host)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func TestServersStopAndStart(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *backends.Server{
		"mongo": backends.StartMongo, "aws": backends.StartAWS,
		"s3": func(tb testing.TB) *backends.Server { tb.Helper(); s, _, _ := backends.StartS3(tb); return s },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			at := s.URL
			if err := dial(t, at); err != nil {
				t.Fatal(err)
			}
			s.Stop(t)
			if dial(t, at) == nil {
				t.Error("a stopped server answers")
			}
			s.Start(t)
			if err := dial(t, at); err != nil || s.URL != at {
				t.Errorf("started again at %s: %v", s.URL, err)
			}
		})
	}
}

func TestMongoGivesADatabaseEach(t *testing.T) {
	t.Parallel()
	one, two := backends.Mongo(t), backends.Mongo(t)
	if one == two || !strings.HasPrefix(one, "mongodb://") {
		t.Errorf("%s and %s", one, two)
	}
}
