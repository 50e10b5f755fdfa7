package eventdocs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// comments is what the source says about types, their fields and the values that they may have.
type comments struct {
	types  map[string]string   // by type
	fields map[string]string   // by "Type.Field"
	values map[string][]string // of named string types
}

// readComments reads the Go files of a package, without its tests.
func readComments(dir string) (*comments, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	c := &comments{types: map[string]string{}, fields: map[string]string{}, values: map[string][]string{}}
	files := token.NewFileSet()
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(files, path, source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the comments of %s: %w", path, err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				c.declaration(g)
			}
		}
	}
	return c, nil
}

func (c *comments) declaration(g *ast.GenDecl) {
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			doc := s.Doc
			if doc == nil {
				doc = g.Doc
			}
			c.types[s.Name.Name] = sentence(doc)
			if t, ok := s.Type.(*ast.StructType); ok {
				c.structFields(s.Name.Name, t)
			}
		case *ast.ValueSpec:
			name, ok := s.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok {
				continue
			}
			for _, v := range s.Values {
				if l, ok := v.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil {
						c.values[name.Name] = append(c.values[name.Name], text)
					}
				}
			}
		}
	}
}

func (c *comments) structFields(of string, t *ast.StructType) {
	for _, f := range t.Fields.List {
		text := sentence(f.Doc)
		if text == "" {
			text = sentence(f.Comment)
		}
		for _, name := range f.Names {
			c.fields[of+"."+name.Name] = text
		}
	}
}

// sentence is a comment in one line, without what is for tools.
func sentence(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.Join(strings.Fields(g.Text()), " ")
}

// unitOf finds the unit of a field, by its comment ("seconds from the start") or by its name.
func unitOf(field, comment string) string {
	found := regexp.MustCompile(`\b(bits per second|frames per second|seconds|pixels|frames|code points)\b`).FindString(comment)
	switch {
	case found != "":
		return found
	case field == "width", field == "height":
		return "pixels"
	case field == "bytes", field == "offset", field == "length":
		return "bytes"
	case field == "frames", field == "gop", field == "segment_frames", field == "first_frames":
		return "frames"
	case field == "sample_rate":
		return "hertz"
	case field == "rotation":
		return "degrees"
	}
	return ""
}

// plainly describes fields whose name says enough beside the code, but not where the schema is all that one has.
func plainly(field string) string {
	switch field {
	case "attempt":
		return "the run of the pipeline that it belongs to, from 1 on"
	case "part":
		return "number of the report, from 0 on"
	case "key":
		return "name of the object in storage"
	case "bytes":
		return "size"
	case "init":
		return "the initialization segment (ISO BMFF ftyp and moov boxes)"
	case "segments":
		return "media segments, in the order of playing"
	case "codecs":
		return "codecs as in RFC 6381"
	case "final":
		return "nothing more will come"
	case "failure":
		return "what went wrong"
	case "source":
		return "the source"
	case "details":
		return "all details, also those that did not change"
	case "language":
		return "language (BCP 47)"
	case "num", "den":
		return map[string]string{"num": "numerator", "den": "denominator"}[field]
	}
	return strings.ReplaceAll(field, "_", " ")
}
