package httpapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/connectlink/connectlink/internal/secret"
)

func TestExamplesOfRequestsAreAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := map[string]secret.Text{"suppressions": w.blocks, "admin": w.admin}
	for path, item := range w.contract.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			key := w.key
			if own, ok := keys[scopeOf(op)]; ok {
				key = own
			}
			for name, e := range op.RequestBody.Value.Content["application/json"].Examples {
				body, err := json.Marshal(e.Value.Value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(path, "/resend") && name == "again" {
					continue // resending a message that was not sent yet is refused, rightly
				}
				r := w.call(t, key, method, strings.ReplaceAll(path, "{id}", w.objectAt(t, path)), string(body))
				if r.status >= 300 {
					t.Errorf("%s %s, example %s: %d %s", method, path, name, r.status, r.body)
				}
			}
		}
	}
}

func scopeOf(op *openapi3.Operation) string {
	scope, _ := op.Extensions["x-scope"].(string)
	return scope
}

// objectAt creates the object that a path of the document names by its id.
func (w *world) objectAt(t *testing.T, path string) string {
	t.Helper()
	switch {
	case !strings.Contains(path, "{id}"):
		return ""
	case strings.HasPrefix(path, "/v1/suppressions/"):
		r := w.call(t, w.blocks, "POST", "/v1/suppressions", `{"email":"jo@customer.example","reason":"Asked by phone"}`)
		return r.at(t, "id").(string)
	default:
		return w.create(t, w.key, strings.ReplaceAll(byEmail, "pat@", "kim@")) // the examples suppress pat
	}
}

// TestEveryRequestAndResponseHasValidExamples checks the examples with closed
// schemas: a member that the schema does not know is a fault.
func TestEveryRequestAndResponseHasValidExamples(t *testing.T) {
	t.Parallel()
	doc := loadContract(t).doc
	checked := 0
	content := func(where string, c openapi3.Content) {
		for kind, media := range c {
			examples := map[string]any{}
			if media.Example != nil {
				examples["example"] = media.Example
			}
			for name, e := range media.Examples {
				examples[name] = e.Value.Value
			}
			if len(examples) == 0 {
				t.Errorf("%s, %s: no example", where, kind)
			}
			for name, value := range examples {
				checked++
				if err := media.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
					t.Errorf("%s, %s, example %s: %v", where, kind, name, err)
				}
			}
		}
	}
	items := doc.Paths.Map()
	maps.Copy(items, doc.Webhooks)
	for path, item := range items {
		for method, op := range item.Operations() {
			where := method + " " + path
			if op.RequestBody != nil {
				content(where, op.RequestBody.Value.Content)
			}
			for status, r := range op.Responses.Map() {
				content(where+" "+status, r.Value.Content)
			}
			if op.Description == "" || op.Summary == "" {
				t.Errorf("%s: no description or no summary", where)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d examples were checked", checked)
	}
}

// TestWebhooksAreNamedByTheTypeOfTheirEvent: receivers tell events apart by `type`.
func TestWebhooksAreNamedByTheTypeOfTheirEvent(t *testing.T) {
	t.Parallel()
	doc := loadContract(t).doc
	types := doc.Components.Schemas["PublicEventType"].Value.Enum
	if len(doc.Webhooks) < 5 {
		t.Errorf("only %d webhooks are described", len(doc.Webhooks))
	}
	for name, item := range doc.Webhooks {
		if !slices.Contains(types, any(name)) {
			t.Errorf("the webhook %s is no type of an event", name)
		}
		for _, e := range item.Post.RequestBody.Value.Content["application/json"].Examples {
			if got := e.Value.Value.(map[string]any)["type"]; got != name {
				t.Errorf("the webhook %s has an example of the type %v", name, got)
			}
		}
	}
}

// TestGeneratorsFindOneComponentForEachName: oapi-codegen makes one type for each
// component with a schema of any section, and refuses two of one name.
func TestGeneratorsFindOneComponentForEachName(t *testing.T) {
	t.Parallel()
	c := loadContract(t).doc.Components
	sections := map[string][]string{}
	add := func(section string, names []string) {
		for _, name := range names {
			sections[name] = append(sections[name], section)
		}
	}
	add("schemas", slices.Collect(maps.Keys(c.Schemas)))
	add("parameters", slices.Collect(maps.Keys(c.Parameters)))
	add("responses", slices.Collect(maps.Keys(c.Responses)))
	add("headers", slices.Collect(maps.Keys(c.Headers)))
	for name, in := range sections {
		if len(in) > 1 {
			t.Errorf("%s stands in %v", name, in)
		}
	}
}

// TestNoFieldIsRequiredByItsDefault: openapi-typescript takes a field with a
// `default` for one that is always present, also in requests.
func TestNoFieldIsRequiredByItsDefault(t *testing.T) {
	t.Parallel()
	for name, s := range loadContract(t).doc.Components.Schemas {
		for field, p := range s.Value.Properties {
			if p.Value.Default != nil {
				t.Errorf("%s.%s has a default: name it in the description", name, field)
			}
		}
		for _, field := range s.Value.Required {
			if s.Value.Properties[field] == nil {
				t.Errorf("%s requires %s and does not describe it", name, field)
			}
		}
	}
}
