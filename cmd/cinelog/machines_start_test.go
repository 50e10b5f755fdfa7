package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/test/backends"
)

// startsWrong starts processes with settings that cannot work: each ends at once, and says what is wrong and what to do
// about it.
func startsWrong(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	nobody := closedPort(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden) // as STS answers to a key that it does not know
		_, _ = w.Write([]byte(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>` +
			`<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error>` +
			`<RequestId>1</RequestId></ErrorResponse>`))
	}))
	t.Cleanup(refusing.Close)
	bucket := func(name, endpoint, more string) string {
		return "s3://" + name + "?path-style=true&endpoint=" + url.QueryEscape(endpoint) + more
	}
	without := []string{
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_PROFILE=", "HOME=" + t.TempDir(),
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=http://" + nobody, // where a machine's role would be found
	}
	for name, c := range map[string]struct {
		flags []string // beside those of machines that work
		env   []string
		says  []string
	}{
		"NoMongo": {flags: []string{"--log", "mongodb://" + nobody + "/cinelog"}, says: []string{nobody, "refused", "--log"}},
		"MongoNotProvisioned": {
			flags: []string{"--log", m.mongo + "_other"}, says: []string{"event log", "cinelog provision"},
		},
		"ViewsNotProvisioned": {flags: []string{"--views", m.mongo + "_other"}, says: []string{"cinelog provision"}},
		"NotAPlace":           {flags: []string{"--log", "postgres://localhost/x"}, says: []string{"--log", "mongodb:"}},
		"NotAMongo":           {flags: []string{"--log", "mongodb://"}, says: []string{"mongodb://host:port/database"}},
		"SecretOfBucket": {
			env:  []string{"AWS_SECRET_ACCESS_KEY=wrong"},
			says: []string{m.name, "the secret key does not belong to the access key", "AWS_SECRET_ACCESS_KEY"},
		},
		"KeyOfBucket": {
			env:  []string{"AWS_ACCESS_KEY_ID=nobody"},
			says: []string{m.name, "does not know the access key", "AWS_ACCESS_KEY_ID"},
		},
		"NoBucket": {
			flags: []string{"--blobs", bucket(m.name+"-other", m.s3, "")},
			says:  []string{m.name + "-other", "does not exist", "cinelog provision"},
		},
		"NoStorage": {flags: []string{"--blobs", bucket(m.name, "http://"+nobody, "")}, says: []string{nobody, "refused", "--blobs"}},
		"RegionOfBucket": {
			flags: []string{"--blobs", bucket(m.name, m.s3, "&region=eu-central-1")},
			says:  []string{`not in region "eu-central-1"`, "?region="},
		},
		"KeysOfQueues": {
			env:  []string{"AWS_ENDPOINT_URL_STS=" + refusing.URL},
			says: []string{"AWS refuses the credentials", "AWS_ACCESS_KEY_ID"},
		},
		"NoTopic": {flags: []string{"--bus", "aws:" + m.name + "-other"}, says: []string{"lacks", "create topic", "cinelog provision"}},
		"RegionOfTopic": {
			flags: []string{"--blobs", bucket(m.name, m.s3, "&region="+backends.Region)},
			env:   []string{"AWS_REGION=eu-central-1"}, says: []string{"region eu-central-1 lacks", "cinelog provision"},
		},
		"NoRegion": {env: []string{"AWS_REGION="}, says: []string{"AWS_REGION"}},
		"NoQueues": {
			env:  []string{"AWS_ENDPOINT_URL_SNS=http://" + nobody, "AWS_ENDPOINT_URL_SQS=http://" + nobody, "AWS_ENDPOINT_URL_STS=http://" + nobody},
			says: []string{nobody, "refused", "AWS_ENDPOINT_URL"},
		},
		"NoKeys": {
			flags: []string{"--blobs", "file:" + t.TempDir()},
			env:   without,
			says:  []string{"no AWS credentials", "AWS_ACCESS_KEY_ID"},
		},
		"NoKeysOfBucket": {
			env:  without,
			says: []string{"no AWS credentials", "AWS_ACCESS_KEY_ID"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := slices.Concat([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, m.places, c.flags)
			cmd := exec.CommandContext(ctx, m.binary, args...)
			cmd.Env = slices.Concat(cmd.Environ(), m.env, c.env)
			began := time.Now()
			out, err := cmd.CombinedOutput()
			t.Logf("after %s: %s", time.Since(began).Round(10*time.Millisecond), out)
			exit, ended := errors.AsType[*exec.ExitError](err)
			if !ended || exit.ExitCode() < exitFailed || exit.ExitCode() > exitUsage || ctx.Err() != nil {
				t.Errorf("it ends with %v after %s", err, time.Since(began))
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if strings.Count(string(out), "\n") > 3 || strings.Contains(string(out), "goroutine") || strings.Contains(string(out), m.secret) {
				t.Error("it says too much")
			}
		})
	}
}

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startsWithout starts processes that do not use what is missing.
func startsWithout(t *testing.T, binary string) {
	t.Helper()
	m := newMachines(t, binary, sharedServers(t))
	m.mustRun("provision")
	cl := &client{server: m.start("api", "--bus", "aws:"+m.name+"-missing").address(t)}
	m.start("relay,projector,analytics", "--blobs", "s3://"+m.name+"-missing?region="+backends.Region)
	id := m.create(cl, "Without a bus, and found")
	eventually(t, time.Minute, func() string {
		var page struct {
			Items []answer `json:"items"`
		}
		if err := cl.call(t.Context(), http.MethodGet, "/v1/videos?q=found", nil, &page); err != nil {
			return err.Error()
		}
		if len(page.Items) != 1 || page.Items[0].ID != id {
			return fmt.Sprintf("found %+v", page.Items)
		}
		return ""
	})
	m.allRun()
}
