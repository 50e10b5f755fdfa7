package s3_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/cinelog/cinelog/adapters/s3"
)

// operation names what a request asks for, as far as the tests care.
func operation(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "create-upload"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "part"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "complete"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "abort"
	case r.Method == http.MethodPost && q.Has("delete"):
		return "delete"
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "list"
	}
	return r.Method
}

// through puts a proxy of ours between the store and storage: handle sees every request and may pass it on.
func through(t *testing.T, o s3.Options, handle func(w http.ResponseWriter, r *http.Request, pass http.Handler)) s3.Options {
	t.Helper()
	to, err := url.Parse(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:    &http.Transport{DisableCompression: true},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, pass) }))
	t.Cleanup(server.Close)
	o.Endpoint = server.URL
	return o
}

// cutAfter is a response that breaks off after some bytes of its body.
type cutAfter struct {
	http.ResponseWriter

	left int
}

func (c *cutAfter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler) // closes the connection
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}
