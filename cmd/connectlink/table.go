package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/mattn/go-isatty"
)

// format is how a command prints objects: a table on a terminal, JSON elsewhere.
type format struct {
	JSON  bool `name:"json" help:"Print JSON, also on a terminal." xor:"format"`
	Table bool `help:"Print a table, also where standard output is not a terminal." xor:"format"`
}

// column is one column of a table: a title, and the path of the value in an object.
type column struct{ title, path string }

func inviteColumns() []column {
	return []column{
		{"ID", "id"}, {"STATUS", "status"}, {"PROGRESS", "progress"}, {"APP", "app.slug"}, {"USER", "external_user_id"},
		{"CHANNEL", "channel"}, {"DELIVERY", "delivery.status"}, {"REASON", "delivery.reason.code"}, {"CREATED", "created_at"},
	}
}

func messageColumns() []column {
	return []column{
		{"ID", "id"}, {"CHANNEL", "channel"}, {"TO", "to"}, {"SUBJECT", "subject"}, {"STATUS", "status"}, {"INVITE", "invite_id"}, {"CREATED", "created_at"},
	}
}

// print prints an answer: an object, or a list with its cursor.
func (f format) print(e *env, base string, raw []byte, columns []column) error {
	if f.isJSON(e) {
		return printPretty(e, base, raw)
	}
	var one map[string]any
	if err := decodeAnswer(base, raw, &one); err != nil {
		return err
	}
	rows := []any{one}
	if list, ok := one["data"].([]any); ok {
		rows = list
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	for i, c := range columns {
		_, _ = fmt.Fprint(w, c.title, separator(i, len(columns)))
	}
	for _, row := range rows {
		for i, c := range columns {
			_, _ = fmt.Fprint(w, cell(row, c.path), separator(i, len(columns)))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if next, ok := one["next_cursor"].(string); ok && one["has_more"] == true {
		e.say("There is more: add --cursor=%s", next)
	}
	return nil
}

// isJSON reports whether the command prints JSON.
func (f format) isJSON(e *env) bool { return f.JSON || !f.Table && !isTerminal(e) }

func isTerminal(e *env) bool {
	f, ok := e.stdout.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

func separator(i, n int) string {
	if i == n-1 {
		return "\n"
	}
	return "\t"
}

// cell returns the value at a path as text; - for none.
func cell(v any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	text := "-"
	if v != nil {
		text = printable(fmt.Sprint(v))
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC().Format("2006-01-02 15:04:05Z")
	}
	return text
}

// printable leaves out what a terminal would obey: products and recipients wrote
// these texts.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}
