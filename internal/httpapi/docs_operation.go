package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"
)

// addOperations adds the operations of paths or of webhooks to their groups.
func (d *docs) addOperations(m *model, s spec, items *yaml.Node, webhook bool) error {
	return walkPairs(items, func(path string, item *yaml.Node) error {
		var shared struct{ Parameters []parameter }
		if err := item.Decode(&shared); err != nil {
			return err
		}
		return walkPairs(item, func(method string, n *yaml.Node) error {
			if method == "parameters" {
				return nil
			}
			var op operation
			if err := n.Decode(&op); err != nil {
				return err
			}
			op.Parameters = append(slices.Clone(shared.Parameters), op.Parameters...)
			v, err := d.operation(s, strings.ToUpper(method), path, op, webhook)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(m.Groups, func(g group) bool { return slices.Contains(op.Tags, g.Name) })
			if i < 0 {
				return fmt.Errorf("%s %s: no known tag", method, path)
			}
			m.Groups[i].Operations = append(m.Groups[i].Operations, v)
			return nil
		})
	})
}

func (d *docs) operation(s spec, method, path string, op operation, webhook bool) (operationView, error) {
	v := operationView{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description, Scope: op.Scope,
		TestKeysOnly: op.TestKeysOnly, Public: op.Scope == "", Webhook: webhook,
	}
	address := d.base() + path
	var inHeaders, inQuery []string
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = s.Components.Parameters[refName(p.Ref)]
		}
		if p.In == "path" && p.Example != "" {
			address = strings.ReplaceAll(address, "{"+p.Name+"}", p.Example)
		}
		switch {
		case p.In == "header" && p.Required:
			inHeaders = append(inHeaders, p.Name+": "+p.Example)
		case p.In == "query" && p.Required:
			inQuery = append(inQuery, url.QueryEscape(p.Name)+"="+url.QueryEscape(p.Example))
		}
		kind, link := p.Schema.kind()
		v.Parameters = append(v.Parameters, fieldView{Name: p.Name, Where: p.In, Kind: kind, Link: link, Description: p.Description, Required: p.Required})
	}
	if len(inQuery) > 0 {
		address += "?" + strings.Join(inQuery, "&")
	}
	if body, ok := op.RequestBody.Content[echo.MIMEApplicationJSON]; ok {
		v.Body = refName(body.Schema.Ref)
		examples := body.examples()
		for _, name := range slices.Sorted(maps.Keys(examples)) {
			title, text, err := s.renderExample(examples[name])
			if err != nil {
				return v, fmt.Errorf("example %s: %w", name, err)
			}
			if !webhook {
				text = renderCurl(method, address, op.Scope, inHeaders, text)
			}
			v.Examples = append(v.Examples, exampleView{Title: title, Text: text})
		}
	}
	if !webhook && len(v.Examples) == 0 && len(op.RequestBody.Content) == 0 {
		v.Examples = []exampleView{{Text: renderCurl(method, address, op.Scope, inHeaders, "")}}
	}
	err := walkPairs(&op.Responses, func(status string, n *yaml.Node) error {
		answer, err := s.answer(status, n)
		if answer.Description != "" {
			v.Answers = append(v.Answers, answer)
		}
		return err
	})
	return v, err
}

// answer reads a response. Responses that several operations share have no
// description here: the errors have a table of their own.
func (s spec) answer(status string, n *yaml.Node) (answerView, error) {
	var r struct {
		Description string
		Content     map[string]media
	}
	if err := n.Decode(&r); err != nil {
		return answerView{}, err
	}
	v := answerView{Status: status, Description: r.Description}
	body := r.Content[echo.MIMEApplicationJSON]
	examples := body.examples()
	for _, name := range slices.Sorted(maps.Keys(examples))[:min(1, len(examples))] {
		_, text, err := s.renderExample(examples[name])
		if err != nil {
			return v, fmt.Errorf("example %s: %w", name, err)
		}
		v.Example = text
	}
	return v, nil
}

// examples returns all examples by name.
func (m media) examples() map[string]example {
	if len(m.Examples) == 0 && !m.Example.IsZero() {
		return map[string]example{"example": {Value: m.Example}}
	}
	return m.Examples
}

// renderExample returns the title and the indented JSON of an example.
func (s spec) renderExample(e example) (title, text string, err error) {
	if e.Ref != "" {
		e = s.Components.Examples[refName(e.Ref)]
	}
	var compact, pretty bytes.Buffer
	if err := toJSON(&compact, &e.Value); err != nil {
		return "", "", err
	}
	if err := json.Indent(&pretty, compact.Bytes(), "", "  "); err != nil {
		return "", "", fmt.Errorf("indent: %w", err)
	}
	return e.Summary, pretty.String(), nil
}

// renderCurl returns a request as a command for a shell. body may be empty.
func renderCurl(method, address, scope string, headers []string, body string) string {
	parts := []string{"curl '" + address + "'"}
	if method != "GET" && (method != "POST" || body == "") { // which curl chooses itself
		parts[0] = "curl -X " + method + " '" + address + "'"
	}
	switch scope {
	case "": // no key is needed
	case "client token":
		parts = append(parts, `-H "Authorization: Bearer $CLIENT_TOKEN"`)
	default:
		parts = append(parts, `-H "Authorization: Bearer $CONNECTLINK_API_KEY"`)
	}
	for _, h := range headers {
		parts = append(parts, "-H '"+h+"'")
	}
	if body != "" {
		parts = append(parts, "-H 'Content-Type: application/json'", "-d '"+strings.ReplaceAll(body, "'", `'\''`)+"'")
	}
	return strings.Join(parts, " \\\n  ")
}
