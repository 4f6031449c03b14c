package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = s.Components.Parameters[refName(p.Ref)]
		}
		if p.In == "path" && p.Example != "" {
			address = strings.ReplaceAll(address, "{"+p.Name+"}", p.Example)
		}
		kind, link := p.Schema.kind()
		v.Parameters = append(v.Parameters, fieldView{Name: p.Name, Where: p.In, Kind: kind, Link: link, Description: p.Description, Required: p.Required})
	}
	if body, ok := op.RequestBody.Content[echo.MIMEApplicationJSON]; ok {
		v.Body = refName(body.Schema.Ref)
		for _, name := range slices.Sorted(maps.Keys(body.Examples)) {
			title, text, err := s.renderExample(body.Examples[name])
			if err != nil {
				return v, fmt.Errorf("example %s: %w", name, err)
			}
			if !webhook {
				text = renderCurl(method, address, text)
			}
			v.Examples = append(v.Examples, exampleView{Title: title, Text: text})
		}
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
	examples := r.Content[echo.MIMEApplicationJSON].Examples
	for _, name := range slices.Sorted(maps.Keys(examples))[:min(1, len(examples))] {
		_, text, err := s.renderExample(examples[name])
		if err != nil {
			return v, fmt.Errorf("example %s: %w", name, err)
		}
		v.Example = text
	}
	return v, nil
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

// renderCurl returns a request as a command for a shell.
func renderCurl(method, address, body string) string {
	command := "curl "
	if method != "POST" { // which curl takes from -d
		command += "-X " + method + " "
	}
	return command + address + " \\\n  -H \"Authorization: Bearer $CONNECTLINK_API_KEY\" \\\n  -H 'Content-Type: application/json' \\\n  -d '" +
		strings.ReplaceAll(body, "'", `'\''`) + "'"
}
