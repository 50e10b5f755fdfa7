package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/domain"
)

// bare is the SDK's client, without what we made of it.
func bare(o s3.Options) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: o.Region, BaseEndpoint: &o.Endpoint, UsePathStyle: o.PathStyle,
		Credentials: credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, ""),
	})
}

func TestEnsureBucket(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := open(t, o)
	want := func(origins []string, dryRun bool, parts ...string) {
		t.Helper()
		did, err := s.EnsureBucket(t.Context(), origins, dryRun)
		// Not every storage has lifecycle rules: they have a test of their own.
		did = slices.DeleteFunc(did, func(s string) bool { return strings.Contains(s, "lifecycle") })
		if err != nil || len(did) != len(parts) {
			t.Errorf("%q, %v; want %q", did, err, parts)
			return
		}
		for i, part := range parts {
			if !strings.Contains(did[i], part) {
				t.Errorf("%q; want %q", did[i], part)
			}
		}
	}
	all := []string{"*"}
	for range 2 {
		want(all, true, "create bucket "+o.Bucket, "pages of *")
	}
	if s.Check(t.Context()) == nil {
		t.Error("a dry run made the bucket")
	}
	want(all, false, "create bucket "+o.Bucket, "pages of *")
	want(all, false)
	want(all, true)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}

	// Rules of others stay.
	theirs := types.CORSRule{ID: aws.String("theirs"), AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"https://a.example"}}
	now, err := bare(o).GetBucketCors(t.Context(), &awss3.GetBucketCorsInput{Bucket: &o.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bare(o).PutBucketCors(t.Context(), &awss3.PutBucketCorsInput{
		Bucket: &o.Bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: append(now.CORSRules, theirs)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want(all, false)
	one := []string{"https://b.example"}
	want(one, true, "pages of https://b.example")
	want(one, false, "pages of https://b.example")
	want(one, false)
	if now, err = bare(o).GetBucketCors(t.Context(), &awss3.GetBucketCorsInput{Bucket: &o.Bucket}); err != nil {
		t.Fatal(err)
	}
	if len(now.CORSRules) != 2 || !slices.ContainsFunc(now.CORSRules, func(r types.CORSRule) bool { return aws.ToString(r.ID) == "theirs" }) {
		t.Errorf("rules: %+v", now.CORSRules)
	}

	wrong := o
	wrong.SecretKey = "wrong"
	if _, err := open(t, wrong).EnsureBucket(t.Context(), all, true); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("with a wrong secret: %v", err)
	}
}

// TestEnsureLifecycle plays storage that has lifecycle rules, which our server for tests has not.
func TestEnsureLifecycle(t *testing.T) {
	t.Parallel()
	o := options(t)
	ensure(t, o)
	o.Prefix = "p"
	const abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
	var rules []byte
	o = through(t, o, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		switch {
		case !r.URL.Query().Has("lifecycle"):
			pass.ServeHTTP(w, r)
		case r.Method == http.MethodPut:
			rules, _ = io.ReadAll(r.Body)
		case rules == nil:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>")
		default:
			_, _ = w.Write(rules)
		}
	})
	for _, c := range []struct {
		rules  string
		dryRun bool
		want   int
	}{
		{"", true, 1},
		{"", false, 1},
		{"of this program", false, 0},
		{"<Rule>" + abort + "<Filter><Prefix>q/</Prefix></Filter><Status>Enabled</Status></Rule>", false, 1},
		{"<Rule>" + abort + "<Filter><Prefix></Prefix></Filter><Status>Enabled</Status></Rule>", false, 0},
		{"<Rule>" + abort + "<Filter><Prefix></Prefix></Filter><Status>Disabled</Status></Rule>", false, 1},
	} {
		switch {
		case c.rules == "":
			rules = nil
		case strings.HasPrefix(c.rules, "<"):
			rules = []byte("<LifecycleConfiguration>" + c.rules + "</LifecycleConfiguration>")
		}
		did, err := open(t, o).EnsureBucket(t.Context(), []string{"*"}, c.dryRun)
		if err != nil || len(did) != c.want {
			t.Errorf("with %s: %q, %v; want %d", c.rules, did, err, c.want)
		}
		if c.want == 1 && !c.dryRun && (!bytes.Contains(rules, []byte("<Prefix>p/</Prefix>")) || !bytes.Contains(rules, []byte(c.rules))) {
			t.Errorf("%s became %s", c.rules, rules)
		}
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]s3.Options{
		"s3://media":           {Bucket: "media"},
		"s3://media/a/b/":      {Bucket: "media", Prefix: "a/b"},
		"s3://media?region=eu": {Bucket: "media", Region: "eu"},
		"s3://media?endpoint=http://127.0.0.1:1&path-style=true&public-endpoint=https://m.example&cdn=https://c.example/x&lifetime=90m": {
			Bucket: "media", Endpoint: "http://127.0.0.1:1", PathStyle: true, PublicEndpoint: "https://m.example",
			CDN: "https://c.example/x", URLLifetime: 90 * time.Minute,
		},
	} {
		if got, err := s3.ParseURL(at); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", at, got, err)
		}
	}
	for _, at := range []string{
		"", "media", "file:media", "s3:media", "s3://", "s3://key:secret@media", "s3://media/A", "s3://media/../x", "s3://media?regoin=eu",
		"s3://media?path-style=maybe", "s3://media?lifetime=1", "s3://media?lifetime=100h", "s3://media?lifetime=-1h",
		"s3://media?endpoint=127.0.0.1:1", "s3://media?cdn=cdn.example.org", "s3://media#x",
	} {
		if o, err := s3.ParseURL(at); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %+v, %v, want ErrInvalid", at, o, err)
		}
	}
}
