package httpapi_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// tableRow is a line of the route table, read from its source: the scope
// stands beside the route there, and nowhere at run time.
type tableRow struct{ method, path, scope, handler string }

func routeTable(t *testing.T) []tableRow {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "routes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rows []tableRow
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) != 5 || lit.Type != nil {
			return true
		}
		method, _ := strconv.Unquote(lit.Elts[0].(*ast.BasicLit).Value)
		path, _ := strconv.Unquote(lit.Elts[1].(*ast.BasicLit).Value)
		rows = append(rows, tableRow{method, path, name(lit.Elts[2]), name(lit.Elts[3])})
		return true
	})
	if len(rows) < 30 {
		t.Fatalf("only %d routes read from the table", len(rows))
	}
	return rows
}

func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// scopes of the document, by the constant's name in the table.
var scopeNames = map[string]string{
	"InvitesWrite": "invites:write", "InvitesRead": "invites:read", "LinksRead": "links:read", "Suppressions": "suppressions", "Webhooks": "webhooks", "Admin": "admin", "anyone": "", "anyKey": "any key", "client": "client token",
}

// documented reports whether a route belongs into the document: callers' routes
// that exist. Providers' addresses and the style sheet do not.
func (r tableRow) documented() bool {
	return r.scope != "byProvider" && r.path != "/docs/docs.css" && r.path != "/docs/docs.js"
}

func TestTheRouteTableAndTheDocumentAgree(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	var table, document []string
	for _, r := range routeTable(t) {
		if !r.documented() {
			continue
		}
		scope, ok := scopeNames[r.scope]
		if !ok {
			t.Errorf("%s %s: no name for scope %s", r.method, r.path, r.scope)
		}
		path := strings.NewReplacer(":id", "{id}", ":code", "{code}", ":guide", "{guide}", ":vendor", "{vendor}").Replace(r.path)
		table = append(table, r.method+" "+path+" "+scope)
	}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			scope, _ := op.Extensions["x-scope"].(string)
			public := op.Security != nil && len(*op.Security) == 0
			if public != (scope == "") {
				t.Errorf("%s %s: security and x-scope %q contradict each other", method, path, scope)
			}
			document = append(document, method+" "+path+" "+scope)
		}
	}
	slices.Sort(table)
	slices.Sort(document)
	if diff := cmp.Diff(table, document); diff != "" {
		t.Errorf("(-route table +document):\n%s", diff)
	}
}

func TestTheTableIsWhatIsMounted(t *testing.T) {
	t.Parallel()
	e := newEcho(t, web.Params{}, httpapi.Params{})
	mounted := map[string]bool{}
	for _, r := range e.Routes() {
		mounted[r.Method+" "+r.Path] = true
	}
	rows := routeTable(t)
	want := 0
	for _, r := range rows {
		want++
		if r.method == http.MethodGet {
			want++
		}
		if strings.HasPrefix(r.path, "/v1/client/") {
			want++ // OPTIONS, for pages of hybrid apps
		}
		if !mounted[r.method+" "+r.path] {
			t.Errorf("%s %s is not mounted", r.method, r.path)
		}
	}
	if len(mounted) != want {
		t.Errorf("%d routes are mounted, the table makes %d", len(mounted), want)
	}
}

func TestTheDocumentListsTheDomainsWords(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	enum := func(schema string) []string {
		var out []string
		for _, v := range c.doc.Components.Schemas[schema].Value.Enum {
			out = append(out, v.(string))
		}
		return out
	}
	var codes, statuses, deliveries, reasons []string
	for _, k := range web.Kinds() { // compared with package invite by a test of web
		codes = append(codes, string(k.Code))
	}
	for _, s := range invite.Statuses() {
		statuses = append(statuses, string(s))
	}
	for _, s := range invite.DeliveryStatuses() {
		deliveries = append(deliveries, string(s))
	}
	actions := []string{""}
	for _, e := range invite.Explanations() {
		reasons = append(reasons, string(e.Code))
		if !slices.Contains(actions, string(e.Action)) {
			actions = append(actions, string(e.Action))
		}
	}
	for schema, want := range map[string][]string{
		"ErrorCode": codes, "InviteStatus": statuses, "DeliveryStatus": deliveries, "ReasonCode": reasons, "Action": actions,
		"Channel":     {string(invite.Email), string(invite.SMS), string(invite.LinkOnly)},
		"LinkType":    {string(invite.InviteLink), string(invite.ConnectLink)},
		"InitiatedBy": {string(invite.ByProduct), string(invite.ByUser)},
		"Progress":    {string(invite.NotOpened), string(invite.Visited), string(invite.Continued), string(invite.ConnectFailed)},
	} {
		got := enum(schema)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-domain +document):\n%s", schema, diff)
		}
	}
}

// properties lists a struct's json names; nested ones through their own schemas.
func properties(v any) []string {
	var out []string
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestRequestsAndTheDocumentHaveTheSameFields(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	for schema, request := range map[string]any{
		"CreateInvite": issue.CreateRequest{}, "ResendInvite": issue.ResendRequest{}, "RevokeInvite": issue.RevokeRequest{}, "ExtendInvite": issue.ExtendRequest{},
		"Recipient": issue.RecipientRequest{}, "Consent": issue.ConsentRequest{}, "Inviter": issue.InviterRequest{},
		"Fallback": issue.FallbackRequest{}, "Reminders": issue.RemindersRequest{},
	} {
		got := slices.Sorted(maps.Keys(c.doc.Components.Schemas[schema].Value.Properties))
		if diff := cmp.Diff(properties(request), got); diff != "" {
			t.Errorf("%s (-struct +document):\n%s", schema, diff)
		}
	}
}
