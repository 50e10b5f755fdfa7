package eventdocs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cinelog/cinelog/domain"
)

// The places of the catalogue and of what it is made from, in the repository.
const (
	docsDir    = "docs/events"
	domainDir  = "domain"
	samplesDir = "domain/testdata/events"
)

// Generate returns the catalogue's files by name. root is that of the repository.
func Generate(root string) (map[string][]byte, error) {
	said, err := readComments(filepath.Join(root, domainDir))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var messages []message
	for _, eventType := range domain.EventTypes() {
		example, err := os.ReadFile(filepath.Join(root, samplesDir, eventType+".json"))
		if err != nil {
			return nil, fmt.Errorf("every type of event has a sample: %w", err)
		}
		s, err := eventSchema(said, eventType, example)
		if err != nil {
			return nil, err
		}
		if files[eventType+".json"], err = indented(s); err != nil {
			return nil, err
		}
		messages = append(messages, message{Type: eventType, Description: s.Description})
	}
	files["asyncapi.yaml"], err = asyncAPI(messages)
	return files, err
}

// Write brings docs/events up to date. A change that breaks what is there is refused with WhatToDo, and nothing is
// written.
func Write(root string) error {
	files, err := Generate(root)
	if err != nil {
		return err
	}
	if err := Compatible(root, files); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, docsDir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // it is documentation
			return err
		}
	}
	return nil
}

// Compatible holds new schemas against those of docs/events. ErrConflict with everything that would break.
func Compatible(root string, files map[string][]byte) error {
	var broken []error
	published, err := filepath.Glob(filepath.Join(root, docsDir, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range published {
		name := filepath.Base(path)
		before, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var was, is Schema
		if err := json.Unmarshal(before, &was); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if files[name] == nil {
			broken = append(broken, fmt.Errorf("%s: the type is gone", was.Title))
			continue
		}
		if err := json.Unmarshal(files[name], &is); err != nil {
			return fmt.Errorf("read the new %s: %w", name, err)
		}
		for _, b := range Breaks(&was, &is) {
			broken = append(broken, fmt.Errorf("%s: %s", was.Title, b))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%w with what was published:\n%w\n%s", domain.ErrConflict, errors.Join(broken...), WhatToDo)
	}
	return nil
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
