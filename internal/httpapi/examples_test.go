package httpapi_test

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/connectlink/connectlink/docs"
	"github.com/connectlink/connectlink/internal/invite"
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
	case strings.HasSuffix(path, "/reconnect"):
		id, _ := w.connect(t, rand.Text())
		return id
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

// TestEveryTypeOfEventIsDescribedAsAWebhook: an endpoint is posted each of them. The
// document has a section and an example for each type that the service knows, and for
// no other; receivers tell events apart by `type`.
func TestEveryTypeOfEventIsDescribedAsAWebhook(t *testing.T) {
	t.Parallel()
	doc := loadContract(t).doc
	var known, listed []string
	for _, name := range invite.PublicTypes() {
		known = append(known, string(name))
	}
	for _, name := range doc.Components.Schemas["PublicEventType"].Value.Enum {
		listed = append(listed, name.(string))
	}
	if !slices.Equal(listed, known) {
		t.Errorf("PublicEventType lists %v, the service knows %v", listed, known)
	}
	if described := slices.Sorted(maps.Keys(doc.Webhooks)); !slices.Equal(described, slices.Sorted(slices.Values(known))) {
		t.Errorf("webhooks describes %v, the service knows %v", described, known)
	}
	for name, item := range doc.Webhooks {
		media := item.Post.RequestBody.Value.Content["application/json"]
		if media.Schema.Ref != "#/components/schemas/PublicEvent" || len(media.Examples) == 0 {
			t.Errorf("the webhook %s has the schema %q and %d examples", name, media.Schema.Ref, len(media.Examples))
		}
		for _, e := range media.Examples {
			checkEventExample(t, name, e.Value.Value.(map[string]any))
		}
	}
}

// checkEventExample compares what the schema cannot express of an event with what the
// service posts.
func checkEventExample(t *testing.T, name string, event map[string]any) {
	t.Helper()
	if event["type"] != name {
		t.Errorf("the webhook %s has an example of the type %v", name, event["type"])
	}
	data := event["data"].(map[string]any)
	if name == string(invite.EndpointDisabled) {
		if data["webhook_endpoint"] == nil || event["invite_id"] != nil || event["sequence"] != 0.0 {
			t.Errorf("%s: %v", name, event)
		}
		return
	}
	if name == string(invite.AlertRaised) || name == string(invite.AlertResolved) {
		if data["alert"] == nil || event["invite_id"] != nil || event["sequence"] != 0.0 {
			t.Errorf("%s: %v", name, event)
		}
		return
	}
	shown := data["invite"].(map[string]any)
	if shown["id"] != event["invite_id"] || shown["version"] != event["sequence"] || shown["invite_link"] != nil || shown["connect_link_url"] != nil {
		t.Errorf("%s, of the invite %v and the sequence %v, shows %v", name, event["invite_id"], event["sequence"], shown)
	}
}

// TestTheGuideToWebhooksNamesEveryType, as the document does.
func TestTheGuideToWebhooksNamesEveryType(t *testing.T) {
	t.Parallel()
	text := string(must(fs.ReadFile(docs.FS, "webhooks.md")))
	for _, name := range invite.PublicTypes() {
		if !regexp.MustCompile(`(?m)^\| [^|]*` + "`" + regexp.QuoteMeta(string(name)) + "`" + `[^|]* \|`).MatchString(text) {
			t.Errorf("docs/webhooks.md has no row for %s", name)
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
