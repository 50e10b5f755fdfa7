package eventdocs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// Schema is as much of a JSON Schema as events need.
type Schema struct {
	Schema      string            `json:"$schema,omitempty"`
	ID          string            `json:"$id,omitempty"`
	Ref         string            `json:"$ref,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        types             `json:"type,omitempty"`
	Unit        string            `json:"x-unit,omitempty"`
	Enum        []string          `json:"enum,omitempty"`
	Minimum     *int              `json:"minimum,omitempty"`
	Items       *Schema           `json:"items,omitempty"`
	Properties  properties        `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Additional  *Schema           `json:"additionalProperties,omitempty"`
	Defs        properties        `json:"$defs,omitempty"`
	Examples    []json.RawMessage `json:"examples,omitempty"`
}

// types is one name of a type, or several.
type types []string

// MarshalJSON implements json.Marshaler.
func (t types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *types) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`[`)) {
		return json.Unmarshal(b, (*[]string)(t))
	}
	*t = types{""}
	return json.Unmarshal(b, &(*t)[0])
}

// properties are named schemas in the order in which the code has them.
type properties []property

type property struct {
	name   string
	schema *Schema
}

func (p properties) get(name string) *Schema {
	for _, x := range p {
		if x.name == name {
			return x.schema
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, x := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(x.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(x.schema)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *properties) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var s Schema
		if err := d.Decode(&s); err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok {
			return errors.New("the name of a property is not text")
		}
		*p = append(*p, property{text, &s})
	}
	return nil
}

// builder makes one schema.
type builder struct {
	said *comments
	defs properties
}

// eventSchema is the schema of the data of one type of event.
func eventSchema(said *comments, eventType string, example []byte) (*Schema, error) {
	event, err := domain.DecodeEvent(eventType, []byte(`{}`))
	if err != nil {
		return nil, err
	}
	b := &builder{said: said}
	t := reflect.TypeOf(event)
	s, err := b.object(t)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", eventType, err)
	}
	s.Schema, s.ID, s.Title, s.Defs = draft, domain.EventSchemaID(eventType), eventType, b.defs
	if example != nil {
		s.Examples = []json.RawMessage{example}
	}
	versionOf(eventType, s)
	return s, nil
}

// versionOf holds what tells versions apart that have one Go type (domain.EventType).
func versionOf(eventType string, s *Schema) {
	switch eventType {
	case "video.audio_transcoded.v1": // of the track that players begin with: it has no number
		s.Properties = slices.DeleteFunc(s.Properties, func(p property) bool { return p.name == "track" })
		s.Description += " This version is of the track that players begin with."
	case "video.audio_transcoded.v2":
		one := 1
		s.Properties.get("track").Minimum = &one
		s.Required = append(s.Required, "track")
		s.Description += " This version is of all tracks but the one that players begin with."
	}
}

func (b *builder) object(t reflect.Type) (*Schema, error) {
	s := &Schema{Type: types{"object"}, Description: b.said.types[t.Name()]}
	if s.Description == "" {
		return nil, fmt.Errorf("type %s needs a comment: it is the description", t.Name())
	}
	return s, b.fields(t, s)
}

func (b *builder) fields(t reflect.Type, s *Schema) error {
	for f := range t.Fields() {
		if f.Anonymous {
			if err := b.fields(f.Type, s); err != nil {
				return err
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			return fmt.Errorf("%s.%s needs a name in JSON", t.Name(), f.Name)
		}
		left := options == "omitempty"
		p, err := b.of(f.Type, !left)
		if err != nil {
			return err
		}
		comment := b.said.fields[t.Name()+"."+f.Name]
		p.Description, p.Unit = cmp.Or(comment, plainly(name)), unitOf(name, comment)
		s.Properties = append(s.Properties, property{name, p})
		if !left {
			s.Required = append(s.Required, name)
		}
	}
	return nil
}

// of is the schema of a type as encoding/json writes it; what is there without a value is null, unless it is left out.
func (b *builder) of(t reflect.Type, null bool) (*Schema, error) {
	nullable := func(name string) types {
		if null {
			return types{name, "null"}
		}
		return types{name}
	}
	switch t.Kind() { //nolint:exhaustive // the others are refused
	case reflect.String:
		return &Schema{Type: types{"string"}, Enum: b.said.values[t.Name()]}, nil
	case reflect.Bool:
		return &Schema{Type: types{"boolean"}}, nil
	case reflect.Int, reflect.Int64:
		return &Schema{Type: types{"integer"}}, nil
	case reflect.Float64:
		return &Schema{Type: types{"number"}}, nil
	case reflect.Slice:
		items, err := b.of(t.Elem(), true)
		return &Schema{Type: nullable("array"), Items: items}, err
	case reflect.Map:
		values, err := b.of(t.Elem(), true)
		return &Schema{Type: nullable("object"), Additional: values}, err
	case reflect.Pointer:
		if null {
			return nil, fmt.Errorf("a pointer to %s that is not left out when it is nil: say omitempty", t.Elem())
		}
		return b.of(t.Elem(), true)
	case reflect.Struct:
		return b.define(t)
	}
	return nil, fmt.Errorf("no JSON Schema for %s", t)
}

// define puts a struct among the definitions and returns a reference to it.
func (b *builder) define(t reflect.Type) (*Schema, error) {
	if b.defs.get(t.Name()) == nil {
		at := len(b.defs)
		b.defs = append(b.defs, property{t.Name(), &Schema{}}) // before its fields, in case one of them is of the same type
		s, err := b.object(t)
		if err != nil {
			return nil, err
		}
		b.defs[at].schema = s
	}
	return &Schema{Ref: "#/$defs/" + t.Name()}, nil
}
