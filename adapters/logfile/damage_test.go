package logfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/adapters/logfile"
	"github.com/cinelog/cinelog/adapters/memory"
	"github.com/cinelog/cinelog/domain"
)

// TestEveryDamageIsFound cuts a file off at every byte, and changes every byte of it.
func TestEveryDamageIsFound(t *testing.T) {
	t.Parallel()
	from := memory.NewLog()
	sample(t, from)
	file := export(t, from, 0)
	for n := range file {
		into := memory.NewLog()
		if _, err := load(t.Context(), into, file[:n]); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
		mustBePartOf(t, into, file)
	}
	for i := range file {
		for _, flip := range []byte{1, 32, 0x80, file[i] ^ '\n', file[i] ^ '"'} {
			if flip == 0 {
				continue
			}
			damaged := bytes.Clone(file)
			damaged[i] ^= flip
			into := memory.NewLog()
			_, err := load(t.Context(), into, damaged)
			// Some bytes may be different without a difference: letters of a hash in upper case, of a key too.
			if err == nil && !bytes.Equal(export(t, into, 0), file) {
				t.Fatalf("byte %d changed from %q to %q, and taken", i, file[i], damaged[i])
			}
			if err != nil && !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("byte %d changed from %q to %q: %v", i, file[i], damaged[i], err)
			}
			mustBePartOf(t, into, file)
		}
	}
}

// mustBePartOf checks that what an import has left is right, and that the right file completes it.
func mustBePartOf(t *testing.T, l *memory.Log, file []byte) {
	t.Helper()
	mustLoad(t, l, file)
	if !bytes.Equal(export(t, l, 0), file) {
		t.Fatal("after the right file, the log is another")
	}
}

func TestErrorsSayLineAndReason(t *testing.T) {
	t.Parallel()
	from, other := memory.NewLog(), memory.NewLog()
	sample(t, from)
	lines := func() []string { return slices.Collect(strings.Lines(string(export(t, from, 0)))) }
	join := func(lines ...string) string { return strings.Join(lines, "") }
	replace := func(line int, old, with string) string {
		all := lines()
		changed := strings.Replace(all[line-1], old, with, 1)
		if changed == all[line-1] {
			t.Fatalf("line %d has no %q: %s", line, old, changed)
		}
		all[line-1] = changed
		return join(all...)
	}
	without := func(line int) string {
		all := lines()
		return join(append(all[:line-1:line-1], all[line:]...)...)
	}
	swapped := lines()
	swapped[4], swapped[5] = swapped[5], swapped[4]
	_, err := other.Append(t.Context(), domain.Commit{ID: "o", Stream: "o", Events: []domain.Event{domain.VideoPublished{}}})
	if err != nil {
		t.Fatal(err)
	}
	foreign := memory.NewLog()
	fill(t, foreign, 4)
	begun, branched := memory.NewLog(), memory.NewLog()
	err = from.EachCommit(t.Context(), 0, 2, func(c domain.StoredCommit) error {
		return errors.Join(begun.Import(t.Context(), []domain.StoredCommit{c}), branched.Import(t.Context(), []domain.StoredCommit{c}))
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = branched.Append(t.Context(), domain.Commit{ID: "o", Stream: "o", Events: []domain.Event{domain.VideoPublished{}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		into *memory.Log // an empty one when nil
		kind error
		says []string
	}{
		"empty":             {file: "", says: []string{"the file is empty"}},
		"no export":         {file: "{\"position\":1}\n", says: []string{"line 1", "not the first line of an export"}},
		"not JSON":          {file: "PK\x03\x04\n", says: []string{"line 1", "not the first line of an export"}},
		"a newer format":    {file: replace(1, `"format_version":1`, `"format_version":2`), says: []string{"line 1", "reads up to 1", "newer"}},
		"no format version": {file: replace(1, `"format_version":1`, `"format_version":0`), says: []string{"line 1", "format_version 0"}},
		"another head":      {file: replace(1, `"head":9`, `"head":8`), says: []string{"line 11", "end at position 9, the first line says 8"}},
		"begins elsewhere":  {file: replace(1, `"after":0`, `"after":3`), says: []string{"line 1", "do not go together"}},
		"cut off":           {file: join(lines()[:6]...), says: []string{"after line 6", "cut off, at position 4 of 9"}},
		"cut in a line":     {file: join(lines()[:6]...) + `{"position":6,"str`, says: []string{"line 7", "cut off"}},
		"no closing line":   {file: join(lines()[:10]...), says: []string{"after line 10", "cut off, at position 9 of 9"}},
		"a line is missing": {file: without(6), says: []string{"line 6", "position 6 where 5 must be"}},
		"swapped lines":     {file: join(swapped...), says: []string{"line 5", "position 5 where 4 must be"}},
		"a changed byte":    {file: replace(6, `"data":{}`, `"data":{ }`), says: []string{"line 7", "the hash of the commit at position 5"}},
		"changed data":      {file: replace(4, `"attempt":2`, `"attempt":3`), says: []string{"line 4", "the hash of the commit at position 1"}},
		"another time":      {file: replace(8, `000001Z`, `000002Z`), says: []string{"line 8", "the hash"}},
		"no time":           {file: replace(8, `"time":"2026`, `"time":"x026`), says: []string{"line 8", "time"}},
		"half of a commit":  {file: replace(7, `"hash"`, `"hush"`), says: []string{"line 8", "begins before commit", "has ended with its hash"}},
		"another actor":     {file: replace(3, `"actor":"local"`, `"actor":"worker"`), says: []string{"line 3", "does not go with the other events of commit"}},
		"not a hash":        {file: replace(4, `"hash":"`, `"hash":"x`), says: []string{"line 4", "not a hash"}},
		"an unknown event":  {file: replace(6, `video.published.v1`, `video.published.v9`), says: []string{"line 6", "video.published.v9", "newer one"}},
		"data of another":   {file: replace(4, `"data":{"attempt":2}`, `"data":[1]`), says: []string{"line 4", "decode video.transcode_requested.v1"}},
		"two files in one":  {file: join(lines()...) + join(lines()...), says: []string{"line 12", "after the closing line"}},
		"other closing":     {file: replace(11, `"events":9`, `"events":8`), says: []string{"line 11", "closing line"}},
		"other last hash":   {file: replace(11, `"hash":"`, `"hash":"00`), says: []string{"line 11", "closing line has another hash"}},
		"another log":       {file: join(lines()...), into: other, kind: domain.ErrConflict, says: []string{"line 4", "another commit at position 1", "equal up to position 0"}},
		"went another way":  {file: join(lines()...), into: branched, kind: domain.ErrConflict, says: []string{"line 7", "another commit at position 5", "equal up to position 4"}},
		"a part, too early": {file: string(export(t, from, 6)), into: begun, kind: domain.ErrConflict, says: []string{"begins after position 6", "ends at 4", "--after 4"}},
		"a part of another": {file: string(export(t, from, 4)), into: foreign, kind: domain.ErrConflict, says: []string{"line 1", "another commit at position 4"}},
		"a long line":       {file: join(lines()[:1]...) + `{"stream":"` + strings.Repeat("x", 33<<20), says: []string{"line 2", "more than"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			into, kind := c.into, c.kind
			if into == nil {
				into, kind = memory.NewLog(), domain.ErrInvalid
			}
			before := head(t, into)
			check := func(how string, err error) {
				t.Helper()
				if !errors.Is(err, kind) {
					t.Errorf("%s: %v, want %v", how, err, kind)
					return
				}
				for _, want := range c.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %q does not say %q", how, err, want)
					}
				}
			}
			f, err := logfile.NewReader(strings.NewReader(c.file))
			if err == nil {
				_, err = logfile.Check(t.Context(), into, f, nil)
			}
			check("check", err)
			if head(t, into) != before {
				t.Error("checking has written")
			}
			_, err = load(t.Context(), into, []byte(c.file))
			check("import", err)
			if errors.Is(kind, domain.ErrConflict) && head(t, into) != before {
				t.Error("a log that the file does not fit to was written to")
			}
		})
	}
}

// fill appends n events.
func fill(t *testing.T, l *memory.Log, n int) {
	t.Helper()
	for i := range n {
		_, err := l.Append(t.Context(), domain.Commit{ID: fmt.Sprint("f", i), Stream: fmt.Sprint("s", i), Events: []domain.Event{domain.VideoPublished{}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A damaged log is not exported as if nothing were the matter.
func TestADamagedLogIsNotExported(t *testing.T) {
	t.Parallel()
	from := memory.NewLog()
	sample(t, from)
	for name, change := range map[string]func(c *domain.StoredCommit){
		"other data":      func(c *domain.StoredCommit) { c.Events[0].Data = []byte(`{"x":1}`) },
		"another version": func(c *domain.StoredCommit) { c.Commit.Expected++ },
		"one is missing":  func(c *domain.StoredCommit) { c.First++ },
	} {
		var b bytes.Buffer
		_, err := logfile.Export(t.Context(), damagedLog{from, change}, &b, 0, nil)
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(b.Bytes(), []byte(`"end"`)) {
			t.Errorf("%s: the file has its closing line", name)
		}
	}
	_, err := logfile.Export(t.Context(), shortLog{from}, &bytes.Buffer{}, 0, nil)
	if !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a log without its end: %v", err)
	}
}

// A file has its closing line only if it has all that its first line promises.
func TestACloseTooEarly(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := logfile.NewWriter(&b, domain.ChainEnd{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, domain.ErrInvalid) || b.Len() > 0 {
		t.Errorf("%v, and %d bytes", err, b.Len())
	}
}

// damagedLog has one commit that is not as it was.
type damagedLog struct {
	*memory.Log

	change func(*domain.StoredCommit)
}

func (d damagedLog) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	return d.Log.EachCommit(ctx, after, limit, func(c domain.StoredCommit) error {
		if c.First == 5 {
			d.change(&c)
		}
		return each(c)
	})
}

// shortLog has lost its end.
type shortLog struct{ *memory.Log }

func (s shortLog) EachCommit(ctx context.Context, after domain.Position, limit int, each func(domain.StoredCommit) error) error {
	return s.Log.EachCommit(ctx, after, limit, func(c domain.StoredCommit) error {
		if c.First > 5 {
			return nil
		}
		return each(c)
	})
}
