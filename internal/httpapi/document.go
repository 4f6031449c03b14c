package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"
)

// document is the contract as written.
//
//go:embed openapi.yaml
var document []byte

// openAPI shows the contract.
func (a *api) openAPI(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "public, max-age=300")
	// Tools in browsers read it from other origins; it holds nothing secret.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, a.docs.json)
}

// toJSON writes a YAML node as JSON and keeps the order of members, which
// people read it in.
func toJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.DocumentNode:
		return toJSON(b, n.Content[0])
	case yaml.AliasNode:
		return toJSON(b, n.Alias)
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeScalar(b, n.Content[i].Value); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := toJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := toJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		var v any
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		if n.Tag == "!!timestamp" {
			v = n.Value
		}
		return writeScalar(b, v)
	default:
		return fmt.Errorf("line %d: no rule for this kind of YAML", n.Line)
	}
}

func writeScalar(b *bytes.Buffer, v any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	b.Truncate(b.Len() - 1) // Encode ends with a newline
	return nil
}

// The parts of the document that the page for people shows.
type (
	spec struct {
		Info       struct{ Title, Summary, Description string }
		Tags       []struct{ Name, Description string }
		Paths      yaml.Node
		Webhooks   yaml.Node
		Components struct {
			Parameters map[string]parameter
			Examples   map[string]example
			Schemas    yaml.Node
		}
	}
	// example is written at its place, or once for several places.
	example struct {
		Ref     string `yaml:"$ref"`
		Summary string
		Value   yaml.Node
	}
	media struct {
		Schema   schema
		Example  yaml.Node // where there is one without a name
		Examples map[string]example
	}
	parameter struct {
		Ref         string `yaml:"$ref"`
		Name, In    string
		Description string
		Required    bool
		Example     string
		Schema      schema
	}
	operation struct {
		OperationID          string `yaml:"operationId"`
		Summary, Description string
		Tags                 []string
		Scope                string `yaml:"x-scope"`
		TestKeysOnly         bool   `yaml:"x-test-keys-only"`
		Parameters           []parameter
		RequestBody          struct {
			Content map[string]media
		} `yaml:"requestBody"`
		Responses yaml.Node
	}
	schema struct {
		Ref         string `yaml:"$ref"`
		Type        any
		Const       any
		Enum        []any
		OneOf       []schema `yaml:"oneOf"`
		AnyOf       []schema `yaml:"anyOf"`
		Items       *schema
		Format      string
		MinLength   *int `yaml:"minLength"`
		MaxLength   *int `yaml:"maxLength"`
		Minimum     *int
		Maximum     *int
		Description string
		Required    []string
		Properties  yaml.Node
	}
)

// refName is the last part of a $ref.
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// kind says in a few words what a schema takes. link is the schema to go on with.
func (s schema) kind() (text, link string) {
	switch {
	case s.Ref != "":
		return refName(s.Ref), refName(s.Ref)
	case len(s.OneOf) > 0:
		for _, o := range s.OneOf {
			if o.Ref != "" {
				return refName(o.Ref) + " or null", refName(o.Ref)
			}
		}
	case s.Items != nil:
		text, link = s.Items.kind()
		return "array of " + text, link
	case s.Const != nil:
		return fmt.Sprintf("%q", s.Const), ""
	}
	text = splitWords(s.Type)
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if values := s.choices(); len(values) > 0 {
		text += ": " + strings.Join(values, ", ")
	}
	return text + s.limits(), ""
}

// limits returns the maximum length or size of a value.
func (s schema) limits() string {
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf(", %d to %d", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		return fmt.Sprintf(", %d or more", *s.Minimum)
	case s.MinLength != nil && s.MaxLength != nil:
		return fmt.Sprintf(", %d to %d characters", *s.MinLength, *s.MaxLength)
	case s.MaxLength != nil:
		return fmt.Sprintf(", at most %d characters", *s.MaxLength)
	}
	return ""
}

func (s schema) choices() []string {
	var out []string
	for _, v := range s.Enum {
		if text, ok := v.(string); ok && text != "" {
			out = append(out, text)
		}
	}
	return out
}

func splitWords(t any) string {
	switch t := t.(type) {
	case string:
		return t
	case []any:
		var out []string
		for _, v := range t {
			out = append(out, fmt.Sprint(v))
		}
		return strings.Join(out, " or ")
	}
	return ""
}
