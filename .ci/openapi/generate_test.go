// Package openapi tests that oapi-codegen makes clients of the OpenAPI document. It
// is a module of its own: the service depends on no generator.
package openapi

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/oapi-codegen/runtime" // what generated code imports
)

const (
	document = "../../internal/httpapi/openapi.yaml"
	types    = "../../client/api.gen.go"
	settings = "../../client/oapi-codegen.yaml"
)

var update = flag.Bool("update", false, "write the types of client/ again")

// run runs go with arguments and returns its standard output.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	var failure bytes.Buffer
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Stderr = &failure
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, failure.Bytes())
	}
	return out
}

// TestDefaultSettingsMakeAClientThatCompiles: the settings of a first try.
func TestDefaultSettingsMakeAClientThatCompiles(t *testing.T) {
	t.Parallel()
	code := run(t, "tool", "oapi-codegen", "-generate", "types,client", "-package", "generated", document)
	// Inside this module, so that its go.mod gives the versions.
	dir, err := os.MkdirTemp(".", "generated-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "generated.go"), code, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "vet", "./"+dir)
}

// TestTypesOfTheClientAreUpToDate compares api.gen.go with the document; -update
// writes the file.
func TestTypesOfTheClientAreUpToDate(t *testing.T) {
	t.Parallel()
	want := run(t, "tool", "oapi-codegen", "-config", settings, document)
	if *update {
		if err := os.WriteFile(types, want, 0o644); err != nil { //nolint:gosec // source is readable
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(types)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("client/api.gen.go is out of date: run go -C .ci/openapi test ./... -update")
	}
}
