package structure_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/templates"
)

// Tables that repeat facts of the code are generated from it, between two
// comments:
//
//	<!-- generated: name -->
//	<!-- end -->
func TestGeneratedPartsAreCurrent(t *testing.T) {
	t.Parallel()
	for _, part := range []struct{ file, name, want string }{
		{"docs/configuration.md", "configuration", configuration()},
		{"docs/reasons.md", "reasons", reasons()},
		{"docs/architecture.md", "rows", rowTable()},
		{"docs/architecture.md", "channel files", channelTable()},
		{"docs/operations.md", "languages", languageTable(t)},
		{"docs/architecture.md", "crossings", crossingTable(product(sources(t)))},
		{"docs/architecture.md", "invite states", inviteStates(eventTypes(t))},
	} {
		regenerate(t, part.file, part.name, part.want) // one after the other: two may be in one file
	}
}

// languageTable lists the languages of messages and pages, and what their text
// messages take.
func languageTable(t *testing.T) string {
	t.Helper()
	ls, err := message.NewLanguages(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Folder | Language | In its own words | Text messages |\n|---|---|---|---|\n")
	for _, tag := range ls.Tags() {
		l := ls.Match(tag)
		takes := "one segment of 160 characters"
		if script, _ := language.Make(tag).Script(); script.String() != "Latn" {
			takes = "two segments of 67 characters"
		}
		if l.Owns("email") {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(tag), display.English.Tags().Name(language.Make(tag)), l.Name, takes)
		}
	}
	return b.String()
}

func regenerate(t *testing.T, file, name, want string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(file))
	text := read(t, file)
	head := "<!-- generated: " + name + " -->\n"
	before, rest, ok := strings.Cut(text, head)
	have, after, closed := strings.Cut(rest, "<!-- end -->")
	if !ok || !closed {
		t.Errorf("%s has no part %q", file, name)
		return
	}
	want = "\n" + want + "\n"
	if have == want {
		return
	}
	if !*update {
		t.Errorf("%s: the part %q is out of date; go test ./internal/structure -update\n%s", file, name, cmp.Diff(have, want))
		return
	}
	if err := os.WriteFile(path, []byte(before+head+want+"<!-- end -->"+after), 0o644); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cell is text inside a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func configuration() string {
	var b strings.Builder
	b.WriteString("| Variable | In YAML | Default | |\n|---|---|---|---|\n")
	for _, o := range config.Describe() {
		help := cell(o.Help)
		if o.Required {
			help += " **Required.**"
		}
		if o.Secret {
			help += " Secret: also `_FILE`."
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(o.Env), code(o.YAML), code(o.Default), help)
	}
	return b.String()
}

func reasons() string {
	var b strings.Builder
	b.WriteString("| Code | What happened | What to do | Next step |\n|---|---|---|---|\n")
	for _, e := range invite.Explanations() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(string(e.Code)), cell(e.Title), cell(e.Advice), steps(e))
	}
	b.WriteString("\nWhile the message is still tried (`queued`, `sending`, `deferred`) these have other words:\n\n" +
		"| Code | What happened | What to do | Next step |\n|---|---|---|---|\n")
	for _, e := range invite.ExplanationsWhileTrying() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(string(e.Code)), cell(e.Title), cell(e.Advice), steps(e))
	}
	return b.String()
}

func steps(e invite.Explanation) string {
	if e.Other == invite.NoAction {
		return code(string(e.Action))
	}
	if e.Action == invite.NoAction {
		return code(string(e.Other))
	}
	return code(string(e.Action)) + " or " + code(string(e.Other))
}

func rowTable() string {
	var b strings.Builder
	b.WriteString("| Row | Packages |\n|---|---|\n")
	for i, names := range rows() {
		var present []string
		for _, name := range names {
			for _, dir := range []string{"internal/" + name, name} {
				if _, err := os.Stat(filepath.Join(root, dir)); err == nil {
					present = append(present, code(name))
					break
				}
			}
		}
		fmt.Fprintf(&b, "| %d | %s |\n", i, strings.Join(present, " "))
	}
	fmt.Fprintf(&b, "| tests only | %s |\n", "`"+strings.Join(support(), "` `")+"`")
	return b.String()
}
