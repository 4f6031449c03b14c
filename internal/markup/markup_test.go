package markup_test

import (
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"testing"
	"text/template"
	"text/template/parse"

	"github.com/connectlink/connectlink/internal/markup"
)

type values struct {
	A, B string
	On   bool
	List []string
	In   *values
}

// definitions have one of each kind of call.
const definitions = `
{{define "page"}}<p title="{{template "fixed"}}">{{template "fixed" .}} {{template "words" .}}</p>
{{- with .In}}{{template "words" .}}{{end}}{{range .List}}{{template "fixed"}}{{template "item" .}}{{else}}{{template "words" $}}{{end -}}
{{if .On}}{{template "variable" .}}{{else}}{{template "words" .In}}{{end}}{{template "count" .}}{{template "empty" .}}<a href="/{{template "words" .}}">$5</a>{{end}}
{{define "fixed"}}a & b{{end}}
{{define "words"}}{{template "fixed"}}: {{if .On}}{{.A}}{{else}}{{.B}}{{end}}{{end}}
{{define "item"}}[{{.}}]{{end}}
{{define "variable"}}{{$x := .A}}{{range .List}}{{$x}}{{$.B}}{{end}}{{end}}
{{define "count"}}{{if .In}}.{{template "count" .In}}{{end}}{{end}}
{{define "empty"}}{{end}}
{{define "unused"}}{{template "words" .}} unused{{end}}`

func samples() []values {
	inner := &values{A: "in", B: "<b>", On: true}
	return []values{
		{A: `"x"`, B: "y&z"},
		{A: "<i>", B: "y", On: true, List: []string{"1", "<2>"}, In: inner},
		{A: "x", B: "", List: []string{"1"}, In: &values{In: inner}},
		{In: inner, On: true},
	}
}

func TestJoinedTemplatesRenderAsTheirParts(t *testing.T) {
	t.Parallel()
	htmlSet := func() *htmltemplate.Template { return htmltemplate.Must(htmltemplate.New("").Parse(definitions)) }
	textSet := func() *template.Template { return template.Must(template.New("").Parse(definitions)) }
	html, err := markup.HTML(htmltemplate.New("page"), htmlSet(), "page")
	if err != nil {
		t.Fatal(err)
	}
	text, err := markup.Text(template.New("page"), textSet(), "page")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range samples() {
		var want, got strings.Builder
		errWant, errGot := htmlSet().ExecuteTemplate(&want, "page", v), html.Execute(&got, v)
		if want.String() != got.String() || (errWant == nil) != (errGot == nil) {
			t.Errorf("HTML of %+v: %v\n%s\nwant, with %v\n%s", v, errGot, &got, errWant, &want)
		}
		want.Reset()
		got.Reset()
		errWant, errGot = textSet().ExecuteTemplate(&want, "page", v), text.Execute(&got, v)
		if want.String() != got.String() || (errWant == nil) != (errGot == nil) {
			t.Errorf("text of %+v: %v\n%s\nwant, with %v\n%s", v, errGot, &got, errWant, &want)
		}
	}
}

func TestASetHoldsOnlyWhatItsEntriesNeed(t *testing.T) {
	t.Parallel()
	set, err := markup.Text(template.New("page"), template.Must(template.New("").Parse(definitions)), "page", "item")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, t := range set.Templates() {
		names = append(names, t.Name())
	}
	slices.Sort(names)
	// Left are the entries, what uses variables, what calls itself, and what is
	// called with another dot.
	if want := []string{"count", "item", "page", "variable", "words"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	for i, n := range set.Lookup("page").Root.Nodes[1:] {
		if n.Type() == parse.NodeText && set.Lookup("page").Root.Nodes[i].Type() == parse.NodeText {
			t.Errorf("two texts beside each other: %q", fmt.Sprint(n))
		}
	}
}

func TestAMissingDefinitionIsAFault(t *testing.T) {
	t.Parallel()
	set, err := markup.Text(template.New("page"), template.Must(template.New("page").Parse(`{{template "gone" .}}`)), "page")
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Execute(&strings.Builder{}, nil); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Error(err)
	}
	if _, err := markup.HTML(htmltemplate.New("page"), htmltemplate.New("page"), "page"); err == nil || !strings.Contains(err.Error(), `"page"`) {
		t.Errorf("a missing entry: %v", err)
	}
}
