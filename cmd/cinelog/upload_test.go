package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/cinelog/cinelog/domain"
)

func TestWhoWaitsForAVideoIsPatient(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/videos/gone":
			http.NotFound(w, r)
		case asked.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(`{"id":"x","status":"ready"}`))
		}
	}))
	defer server.Close()
	cl := &client{server: server.URL}
	v, err := cl.wait(t.Context(), "x", true, func(float64) {})
	if err != nil || v.Status != "ready" {
		t.Errorf("a server that is back: %+v, %v", v, err)
	}
	if _, err := cl.wait(t.Context(), "gone", true, func(float64) {}); err == nil || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a video that is not there: %v", err)
	}
}
