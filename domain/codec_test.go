package domain_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cinelog/cinelog/domain"
)

// The samples are what was ever written, kept for ever: each must decode, and encode to the same document again. One whose
// name goes on after the type has what the type's first sample was too old for.
func TestEverySampleStaysReadable(t *testing.T) {
	t.Parallel()
	for _, name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventType := typeOfSample(name)
			sample, err := os.ReadFile(filepath.Join("testdata", "events", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			event, err := domain.DecodeEvent(eventType, sample)
			if err != nil {
				t.Fatal(err)
			}
			again, data, err := domain.EncodeEvent(event)
			if err != nil || again != eventType {
				t.Fatalf("encodes as %q, %v", again, err)
			}
			var want, got any
			if err := json.Unmarshal(sample, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the sample lost something on its way (-sample +again):\n%s", diff)
			}
		})
	}
}

func TestEveryTypeHasASampleAndEverySampleAType(t *testing.T) {
	t.Parallel()
	has := map[string]bool{}
	for _, name := range samples(t) {
		if has[typeOfSample(name)] = true; !slices.Contains(domain.EventTypes(), typeOfSample(name)) {
			t.Errorf("%s is a sample of no type", name)
		}
	}
	for _, eventType := range domain.EventTypes() {
		if _, err := os.Stat(filepath.Join("testdata", "events", eventType+".json")); err != nil || !has[eventType] {
			t.Errorf("every event type keeps a sample: %v", err)
		}
	}
}

func samples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "events", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return files
}

// typeOfSample takes the first three words of "video.created.v1.more".
func typeOfSample(name string) string {
	return strings.Join(strings.SplitN(name, ".", 4)[:3], ".")
}

func TestUnknownAndBrokenEventsAreErrors(t *testing.T) {
	t.Parallel()
	if _, err := domain.DecodeEvent("video.created.v99", []byte(`{}`)); err == nil {
		t.Error("an event of the future was decoded")
	}
	if _, err := domain.DecodeEvent("video.created.v1", []byte(`{"owner":`)); err == nil {
		t.Error("half an event was decoded")
	}
}

func TestCloudEventRoundTrip(t *testing.T) {
	t.Parallel()
	want := domain.Recorded{
		Position: 7, Stream: "019a0000-0000-7000-8000-000000000001", Version: 3,
		Time:  time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Meta:  domain.Meta{Actor: "worker", Causation: "6"},
		Event: domain.VideoUploaded{Attempt: 1, Filename: "ü.mp4", Source: domain.Blob{Key: "sources/x", Bytes: 5, SHA256: "ab"}},
	}
	b, err := domain.MarshalCloudEvent(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := domain.UnmarshalCloudEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := want
	long.Event = domain.VideoUploaded{Filename: strings.Repeat("x", domain.MaxInlineData)}
	if b, err = domain.MarshalShortCloudEvent(long); err != nil || len(b) > 1000 {
		t.Errorf("%d bytes for an event whose data are left out, %v", len(b), err)
	}
	if got, err = domain.UnmarshalCloudEvent(b); !errors.Is(err, domain.ErrDataLeftOut) {
		t.Error(err)
	}
	long.Event = nil
	if diff := cmp.Diff(long, got); diff != "" {
		t.Errorf("without its data (-want +got):\n%s", diff)
	}
	for _, bad := range []string{``, `{}`, `null`, `{"specversion":"1.0","position":0,"version":1,"subject":"x"}`} {
		if _, err := domain.UnmarshalCloudEvent([]byte(bad)); err == nil {
			t.Errorf("%q was read as an event", bad)
		}
	}
}
