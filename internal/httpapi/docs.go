package httpapi

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"github.com/connectlink/connectlink/internal/guide"
	"github.com/connectlink/connectlink/internal/invite"
)

// pages are the documentation's templates, style sheet and script. They load nothing
// from elsewhere.
//
//go:embed pages
var pages embed.FS

// docs are the documentation pages, made from the contract.
type docs struct {
	publicURL string
	json      []byte
	templates *template.Template
	model     model
	guides    func() (*guide.Set, error)
}

// model is what the index page shows.
type model struct {
	Title, Description string
	Base               string
	Groups             []group
	Schemas            []schemaView
	Errors             []failureView
}

type group struct {
	Name, Description string
	Operations        []operationView
}

type operationView struct {
	ID, Method, Path, Summary, Description, Scope string
	TestKeysOnly, Public, Webhook                 bool
	Parameters                                    []fieldView
	Body                                          string // name of its schema
	Examples                                      []exampleView
	Answers                                       []answerView
}

type fieldView struct {
	Name, Where, Kind, Link, Description string
	Required                             bool
}

// exampleView is a request as a command, or the body of a webhook.
type exampleView struct{ Title, Text string }

// answerView is a response; Example is its body, empty for a response without one.
type answerView struct{ Status, Description, Example string }

type schemaView struct {
	Name, Description, Kind string
	Fields                  []fieldView
}

type failureView struct {
	Code, Title, Means, Do string
	Status                 int
	Retryable              bool
	Example                string
}

func newDocs(publicURL string) (*docs, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, fmt.Errorf("read the API document: %w", err)
	}
	var compact, pretty bytes.Buffer
	if err := toJSON(&compact, &root); err != nil {
		return nil, fmt.Errorf("write the API document as JSON: %w", err)
	}
	if err := json.Indent(&pretty, compact.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("indent the API document: %w", err)
	}
	t, err := template.New("docs").Funcs(template.FuncMap{"prose": renderProse}).ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the documentation's templates: %w", err)
	}
	d := &docs{publicURL: publicURL, json: append(pretty.Bytes(), '\n'), templates: t}
	var s spec
	if err := root.Decode(&s); err != nil {
		return nil, fmt.Errorf("read the API document: %w", err)
	}
	d.model, err = d.read(s)
	d.guides = d.guideSet()
	return d, err
}

func (d *docs) base() string {
	if d.publicURL != "" {
		return d.publicURL
	}
	return "http://127.0.0.1:8080"
}

// read turns the contract into what the page shows.
func (d *docs) read(s spec) (model, error) {
	m := model{Title: s.Info.Title, Description: s.Info.Description, Base: d.base(), Errors: d.failures()}
	for _, t := range s.Tags {
		m.Groups = append(m.Groups, group{Name: t.Name, Description: t.Description})
	}
	if err := d.addOperations(&m, s, &s.Paths, false); err != nil {
		return m, fmt.Errorf("read the API document's paths: %w", err)
	}
	if err := d.addOperations(&m, s, &s.Webhooks, true); err != nil {
		return m, fmt.Errorf("read the API document's webhooks: %w", err)
	}
	err := walkPairs(&s.Components.Schemas, func(name string, n *yaml.Node) error {
		var one schema
		if err := n.Decode(&one); err != nil {
			return err
		}
		kind, _ := one.kind()
		fields, err := one.fields()
		m.Schemas = append(m.Schemas, schemaView{Name: name, Description: one.Description, Kind: kind, Fields: fields})
		return err
	})
	if err != nil {
		return m, fmt.Errorf("read the API document's schemas: %w", err)
	}
	return m, nil
}

// walkPairs walks a mapping in the order it is written.
func walkPairs(n *yaml.Node, each func(key string, value *yaml.Node) error) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := each(n.Content[i].Value, n.Content[i+1]); err != nil {
			return fmt.Errorf("%s: %w", n.Content[i].Value, err)
		}
	}
	return nil
}

func (s schema) fields() ([]fieldView, error) {
	var out []fieldView
	err := walkPairs(&s.Properties, func(name string, n *yaml.Node) error {
		var one schema
		if err := n.Decode(&one); err != nil {
			return err
		}
		kind, link := one.kind()
		out = append(out, fieldView{Name: name, Kind: kind, Link: link, Description: one.Description, Required: slices.Contains(s.Required, name)})
		return nil
	})
	return out, err
}

// renderProse writes the little markup that descriptions use: paragraphs and `code`.
func renderProse(s string) template.HTML {
	var b strings.Builder
	for _, paragraph := range strings.Split(strings.TrimSpace(s), "\n\n") {
		b.WriteString("<p>")
		for i, part := range strings.Split(paragraph, "`") {
			escaped := template.HTMLEscapeString(part)
			if i%2 == 1 {
				escaped = "<code>" + escaped + "</code>"
			}
			b.WriteString(escaped)
		}
		b.WriteString("</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // every part was escaped above
}

// headers let a page load its own style sheet and script, and nothing else.
func (d *docs) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("Cache-Control", "public, max-age=300")
		return next(c)
	}
}

func (d *docs) page(c echo.Context, name string, data any) error {
	var b bytes.Buffer
	if err := d.templates.ExecuteTemplate(&b, name, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	return c.HTMLBlob(http.StatusOK, b.Bytes())
}

func (d *docs) index(c echo.Context) error { return d.page(c, "index.html", d.model) }

func (d *docs) reasons(c echo.Context) error {
	return d.page(c, "reasons.html", invite.Explanations())
}

func (d *docs) style(c echo.Context) error {
	css, err := pages.ReadFile("pages/docs.css")
	if err != nil {
		return fmt.Errorf("read the style sheet: %w", err)
	}
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", css)
}

func (d *docs) failure(c echo.Context) error {
	i := slices.IndexFunc(d.model.Errors, func(f failureView) bool { return f.Code == c.Param("code") })
	if i < 0 {
		c.Response().Header().Set("Cache-Control", "no-store")
		return invite.Errorf(invite.CodeNotFound, "There is no such error code; /docs lists them all.")
	}
	return d.page(c, "error.html", d.model.Errors[i])
}
