package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/cinelog/cinelog/adapters/webhook"
)

// TestTheCheckInTheDocs runs what the manual says about checking a signature in a shell on a message that was sent.
func TestTheCheckInTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(text)
	if script == nil {
		t.Fatal("there is no script")
	}
	dir, headers := t.TempDir(), http.Header{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers = r.Header }))
	defer receiver.Close()
	s := newSender(t, webhook.Options{Private: true})
	if result := s.Send(t.Context(), receiver.URL, []string{keyOne}, message()); result.Err != nil {
		t.Fatal(result.Err)
	}
	for body, want := range map[string]string{string(message().Body): "genuine\n", "forged": ""} {
		if err := os.WriteFile(filepath.Join(dir, "body"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		sh := exec.CommandContext(t.Context(), "sh", "-c", string(script[1]))
		sh.Dir = dir
		sh.Env = append(os.Environ(), "WEBHOOK_SECRET="+keyOne, "id="+headers.Get("Webhook-Id"),
			"timestamp="+headers.Get("Webhook-Timestamp"), "signature="+headers.Get("Webhook-Signature"))
		if out, _ := sh.Output(); string(out) != want { // it ends with an error where it finds a forgery
			t.Errorf("of %q it says %q", body, out)
		}
	}
}
