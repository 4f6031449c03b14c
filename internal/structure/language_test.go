package structure_test

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// measure is one sign of unclear writing, counted over all comments. The limit is
// three times the highest figure of four well-known Go code bases.
type measure struct {
	name    string
	pattern *regexp.Regexp
	limit   float64 // per 10,000 words
}

func measures() []measure {
	return []measure{
		{"whoever, nobody, somebody, whatever", regexp.MustCompile(`(?i)\b(?:whoever|nobody|somebody|whatever)\b`), 1.5},
		{"what is, was, are … as a noun", regexp.MustCompile(`(?i)\bwhat (?:is|was|are|were|has|had)\b`), 1.5},
		{"says whether, how, what …", regexp.MustCompile(`(?i)\b(?:says?|said|tells?) (?:whether|how|what|why|which|who|when|where)\b`), 2.4},
	}
}

// comments are the words of all comments of a file, without directives.
func comments(s source) string {
	var b strings.Builder
	for _, group := range s.syntax.Comments {
		b.WriteString(group.Text())
		b.WriteByte('\n')
	}
	return b.String()
}

func TestCommentsAreWrittenPlainly(t *testing.T) {
	t.Parallel()
	words := 0
	counts := map[string]int{}
	for _, s := range sources(t) {
		text := comments(s)
		words += len(strings.Fields(text))
		for _, m := range measures() {
			counts[m.name] += len(m.pattern.FindAllString(text, -1))
		}
	}
	for _, m := range measures() {
		rate := float64(counts[m.name]) * 10_000 / float64(words)
		t.Logf("%s: %d in %d words, %.1f per 10,000, limit %.1f", m.name, counts[m.name], words, rate, m.limit)
		if rate > m.limit {
			t.Errorf("%s: %.1f per 10,000 words of comments, more than %.1f", m.name, rate, m.limit)
		}
	}
}

// maxOneWord is the highest share of unexported functions named by one word.
const maxOneWord = 0.24

func TestFunctionsAreNamedByVerbAndObject(t *testing.T) {
	t.Parallel()
	all, short := 0, 0
	for _, s := range product(sources(t)) {
		for _, d := range s.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Name.IsExported() || f.Name.Name == "main" {
				continue
			}
			all++
			if !strings.ContainsFunc(f.Name.Name, unicode.IsUpper) {
				short++
			}
		}
	}
	share := float64(short) / float64(all)
	t.Logf("%d of %d unexported functions are named by one word", short, all)
	if share > maxOneWord {
		t.Errorf("%.0f %% of unexported functions are named by one word, more than %.0f %%", 100*share, 100*maxOneWord)
	}
}
