package eventdocs_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/cinelog/cinelog/adapters/eventdocs"
	"github.com/cinelog/cinelog/domain"
)

const root = "../.."

func generated(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := eventdocs.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheCatalogueIsWhatTheCodeGives(t *testing.T) {
	t.Parallel()
	files := generated(t)
	if err := eventdocs.Compatible(root, files); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, "docs/events", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/events/%s is not what the code gives (%v): run make generate", name, err)
		}
	}
}

// Everything that was ever written must fit the schema of its type, and so must what this program makes of it.
func TestEverySampleFitsItsSchema(t *testing.T) {
	t.Parallel()
	schemas := map[string]*jsonschema.Schema{}
	for _, eventType := range domain.EventTypes() {
		schemas[eventType] = compile(t, generated(t)[eventType+".json"])
	}
	samples, err := filepath.Glob(filepath.Join(root, "domain/testdata/events/*.json"))
	if err != nil || len(samples) < len(schemas) {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		eventType := strings.Join(strings.SplitN(strings.TrimSuffix(filepath.Base(path), ".json"), ".", 4)[:3], ".")
		sample, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		event, err := domain.DecodeEvent(eventType, sample)
		if err != nil {
			t.Errorf("%s: %v\n%s", path, err, eventdocs.WhatToDo)
			continue
		}
		_, again, err := domain.EncodeEvent(event)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{sample, again} {
			if err := valid(schemas[eventType], data); err != nil {
				t.Errorf("%s does not fit its schema: %v\n%s", path, err, eventdocs.WhatToDo)
			}
		}
	}
	if err := valid(schemas["video.uploaded.v1"], []byte(`{"attempt":"one","source":{"key":"a","bytes":1,"sha256":""}}`)); err == nil {
		t.Error("an attempt that is no number fits")
	}
	if err := valid(schemas["video.audio_transcoded.v2"], []byte(`{"attempt":1,"part":0,"init":{"key":"a","bytes":1,"sha256":""},"codecs":"","segments":null,"final":true}`)); err == nil {
		t.Error("a second track without its number fits")
	}
}

func TestChangesThatBreakAreRefused(t *testing.T) {
	t.Parallel()
	const name = "video.uploaded.v1.json"
	for what, change := range map[string]struct{ from, to, says string }{
		"removed":       {`"filename": {`, `"file": {`, `no field "filename"`},
		"retyped":       {`"type": "integer"`, `"type": "number"`, "was of type integer"},
		"required":      {`"attempt",` + "\n", `"attempt",` + "\n" + `"filename",`, `requires the field "filename"`},
		"left out":      {`"attempt",` + "\n", ``, `may leave out the field "attempt"`},
		"within":        {`"sha256": {`, `"sha512": {`, `no field "sha256"`},
		"another unit":  {`"x-unit": "bytes"`, `"x-unit": "bits"`, "was in bytes"},
		"the type gone": {"", "", "the type is gone"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			files := generated(t)
			if change.from == "" {
				delete(files, name)
			} else {
				changed := strings.Replace(string(files[name]), change.from, change.to, 1)
				if changed == string(files[name]) {
					t.Fatal("the test has nothing to change")
				}
				files[name] = []byte(changed)
			}
			err := eventdocs.Compatible(root, files)
			if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), change.says) || !strings.Contains(err.Error(), "upcaster") {
				t.Errorf("says %v", err)
			}
		})
	}
	files := generated(t)
	files[name] = bytes.Replace(files[name], []byte(`"filename": {`), []byte(`"more": {"type":"string"}, "filename": {`), 1)
	if err := eventdocs.Compatible(root, files); err != nil {
		t.Errorf("a new field that may be missing is refused: %v", err)
	}
	created := "video.created.v1.json"
	files[created] = bytes.Replace(files[created], []byte(`"unlisted",`), nil, 1)
	if err := eventdocs.Compatible(root, files); err == nil || !strings.Contains(err.Error(), `may no longer be "unlisted"`) {
		t.Errorf("a value that is gone: %v", err)
	}
}

// The document is held against AsyncAPI's own schema, @asyncapi/specs 6.11.1 (Apache License 2.0), and every reference
// of it is followed.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	files := generated(t)
	var document any
	if err := yaml.Unmarshal(files["asyncapi.yaml"], &document); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	schema := asyncAPISchema(t)
	if err := valid(schema, b); err != nil {
		t.Error(err)
	}
	if err := valid(schema, bytes.Replace(b, []byte(`"action":"send"`), []byte(`"action":"shout"`), 1)); err == nil {
		t.Error("a document that is wrong is valid")
	}
	follow(t, files, document, document)
	for _, eventType := range domain.EventTypes() {
		if !leads(document, "/components/messages/"+eventType) {
			t.Errorf("there is no message %s", eventType)
		}
	}
}

func asyncAPISchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/asyncapi-3.0.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return compile(t, b.Bytes())
}

// follow finds every $ref in a document.
func follow(t *testing.T, files map[string][]byte, document, at any) {
	t.Helper()
	switch at := at.(type) {
	case map[string]any:
		if ref, ok := at["$ref"].(string); ok {
			if name, ok := strings.CutPrefix(ref, "./"); ok {
				if files[name] == nil {
					t.Errorf("no file %s", name)
				}
			} else if !leads(document, strings.TrimPrefix(ref, "#")) {
				t.Errorf("%s leads nowhere", ref)
			}
		}
		for _, v := range at {
			follow(t, files, document, v)
		}
	case []any:
		for _, v := range at {
			follow(t, files, document, v)
		}
	}
}

// leads says whether a JSON pointer leads to something.
func leads(document any, path string) bool {
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		m, _ := document.(map[string]any)
		next, ok := m[part]
		if !ok {
			return false
		}
		document = next
	}
	return true
}

func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:test:schema", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:test:schema")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}
