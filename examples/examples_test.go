// Package examples_test runs the examples as programs of their own against an event log in MongoDB and SNS and SQS.
package examples_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/contract"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
	"github.com/cinelog/cinelog/test/backends"
)

// program is an example that is running.
type program struct {
	lines chan string
	kill  func()
}

func start(t *testing.T, env []string, binary string, args ...string) *program {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{lines: make(chan string, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	p.kill = func() {
		_ = cmd.Process.Kill() // it may be gone
		<-read
		_ = cmd.Wait()
	}
	t.Cleanup(p.kill)
	return p
}

// next waits for that many lines.
func (p *program) next(t *testing.T, n int) (lines []string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for len(lines) < n {
		select {
		case line := <-p.lines:
			lines = append(lines, line)
		case <-deadline:
			t.Fatalf("%d lines instead of %d: %q", len(lines), n, lines)
		}
	}
	return lines
}

func TestSubscribersFromOutside(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	out, err := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), "./inorder", "./plainsqs").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	uri, endpoint, prefix := backends.Mongo(t), backends.AWS(t), "t"+strings.ToLower(rand.Text()[:10])
	env := []string{
		"AWS_REGION=" + backends.Region, "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_ENDPOINT_URL=" + endpoint,
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := mongo.Open(ctx, uri, time.Now)
	must(err)
	defer func() { _ = db.Close() }()
	_, err = db.Provision(ctx, false)
	must(err)
	log, err := mongo.OpenLog(ctx, db)
	must(err)
	defer func() { _ = log.Close() }()
	cfg := awssdk.Config{
		Region: backends.Region, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), BaseEndpoint: &endpoint,
	}
	bus, err := aws.Open(ctx, aws.Options{Config: cfg, Now: time.Now, Prefix: prefix, Topics: []aws.Topic{{Name: messaging.TopicEvents}}})
	must(err)
	defer func() { _ = bus.Close() }()
	pub, err := bus.Publisher()
	must(err)
	relay := messaging.NewRelay("relay", pub, &contract.Checkpoints{})
	happen := func(id domain.VideoID, before int, events ...domain.Event) {
		t.Helper()
		_, err := log.Append(ctx, domain.Commit{ID: fmt.Sprint(id, before), Stream: string(id), Expected: before, Time: time.Now(), Events: events})
		must(err)
		_, err = projections.CatchUp(ctx, log, relay, projections.CatchUpOptions{})
		must(err)
	}

	ordered := func() *program {
		return start(t, env, filepath.Join(dir, "inorder"), "-log", uri, "-places", uri, "-prefix", prefix, "-group", "notifier")
	}
	first, err := domain.NewVideoID()
	must(err)
	happen(first, 0, domain.VideoCreated{}) // before anybody has subscribed
	inorder := ordered()
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	must(err)
	topic := fmt.Sprintf("arn:aws:sns:%s:%s:%s-events", backends.Region, *who.Account, prefix)
	plain := start(t, env, filepath.Join(dir, "plainsqs"), "-topic", topic, "-queue", prefix+"-outside")
	for tries := 0; ; tries++ { // until both have their queues
		subscribed, err := sns.NewFromConfig(cfg).ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
		must(err)
		if len(subscribed.Subscriptions) == 2 {
			break
		}
		if tries == 600 {
			t.Fatal("nobody subscribes")
		}
		time.Sleep(100 * time.Millisecond)
	}
	happen(first, 1, domain.VideoDetailsChanged{}, domain.VideoPublished{})
	name := string(first)
	if got, want := inorder.next(t, 2), []string{name + " 1 video.created.v1", name + " 3 video.published.v1"}; !slices.Equal(got, want) {
		t.Errorf("in order: %q, want %q", got, want)
	}
	if got := plain.next(t, 1); got[0] != "3 "+name+" video.published.v1" {
		t.Errorf("plain: %q", got)
	}
	inorder.kill()
	happen(first, 3, domain.VideoUnpublished{}, domain.VideoDeleted{})
	inorder = ordered()
	got := inorder.next(t, 1)
	if got[0] == name+" 3 video.published.v1" { // it was killed between the line and the note that it was written
		got = inorder.next(t, 1)
	}
	if got[0] != name+" 5 video.deleted.v1" {
		t.Errorf("in order, after a kill: %q", got)
	}
	if got := plain.next(t, 1); got[0] != "5 "+name+" video.deleted.v1" {
		t.Errorf("plain: %q", got)
	}
}
