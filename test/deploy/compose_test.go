package deploy_test

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
)

func TestX(t *testing.T) {
	o, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithDotEnv)
	if err != nil { t.Fatal(err) }
	p, err := o.LoadProject(t.Context())
	if err != nil { t.Fatal(err) }
	b, _ := p.MarshalYAML()
	t.Log(string(b))
	_ = instructions.Parse
	_ = parser.Parse
	_ = linter.New
}
