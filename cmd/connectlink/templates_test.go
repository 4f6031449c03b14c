package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/templates"
)

func ownTexts(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// builtIn is a built-in text with a change.
func builtIn(t *testing.T, file, from, to string) string {
	t.Helper()
	text, err := fs.ReadFile(templates.FS, file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s does not contain %s", file, from)
	}
	return strings.Replace(string(text), from, to, 1)
}

func TestTheBuiltInTextsPassTheirCheck(t *testing.T) {
	t.Parallel()
	r := runCommand(t, vars{"CONNECTLINK_BRAND_COLOUR": "#ffd43b", "CONNECTLINK_BRAND_LOGO_URL": "https://cdn.acme.example/l.png"}, "templates", "check")
	r.want(t, 0, "project default (built in)", "ar     mail ", "de     mail ", "units of UCS-2 in 2, 2 at most", "units of GSM-7 in 1, 1 at most",
		"warning: the project has no legal_line", "buttons carry dark text instead", "load it from cdn.acme.example", "brand.support_email: not set")
	if strings.Contains(r.stdout, "fault:") {
		t.Errorf("faults: %s", r.stdout)
	}
	list := runCommand(t, nil, "templates", "list")
	list.want(t, 0, "en/email/body.txt\n", "ar/pages/ready.html\n", "layout/email.html\n")
	if strings.Contains(list.stdout, ".js") {
		t.Error("a script may not be replaced, and is listed")
	}
}

func TestAFaultOfOwnTextsIsNamedByFileAndLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, text string
		want       string
	}{
		"a field there is none of":     {"de/sms/first.txt", "{{/* so\noder so */}}\n{{.Brand}}: {{.URL}}{{template \"stop\" .}}\n{{.Brnad}} {{.URL}}\n", "de/sms/first.txt, line 4"},
		"a sentence that does not end": {"en/email/body.txt", "{{define \"ask\"}}\n\nx", "en/email/body.txt:3"},
		"a page's unknown field":       {"fr/pages/ready.html", "{{define \"title\"}}x{{end}}\n{{define \"main\"}}<h1>{{.Secret}}</h1>{{end}}", "fr/pages/ready.html:2"},
		"no link in the text message":  {"es/sms/first.txt", "{{.Brand}}: hola{{template \"stop\" .}}", "es, first message, usual values: the text message holds the link 0 times"},
		"no way to stop":               {"en/sms/stop.txt", "{{define \"stop\"}}{{end}}{{define \"stop-short\"}}{{end}}", "does not say how to stop (sms/stop.txt)"},
		"a picture that counts":        {"en/pages/thanks.html", "{{define \"title\"}}x{{end}}{{define \"main\"}}<h1>x</h1><img src=\"https://count.example/p.gif\">{{end}}", "the page names count.example"},
		"a picture without a code":     {"en/pages/common.html", builtIn(t, "en/pages/common.html", "{{else}}Continue to", "{{else}}<img src=\"https://count.example/p.gif\">Continue to"), "en/pages/ready.html: the page names count.example"},
		"a picture in a text's words":  {"en/pages/channel.html", builtIn(t, "en/pages/channel.html", "{{if eq .RenewChannel \"sms\"}}Text me a new link", "{{if eq .RenewChannel \"sms\"}}<img src=\"https://count.example/p.gif\">"), "en/pages/expired.html: the page names count.example"},
		"a picture in the way out":     {"en/pages/common.html", builtIn(t, "en/pages/common.html", "{{if .CanReport}}", "{{if .CanReport}}<img src=\"https://count.example/p.gif\">"), "en/pages/in_app.html: the page names count.example"},
		"a function that runs things":  {"en/pages/thanks.html", "{{define \"title\"}}x{{end}}{{define \"main\"}}{{env \"HOME\"}}{{end}}", "en/pages/thanks.html:1: function \"env\" not defined"},
		"a file that nothing reads":    {"en/pages/redy.html", "x", "redy.html: nothing reads a file of this name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runCommand(t, nil, "templates", "check", "--dir", ownTexts(t, map[string]string{tt.file: tt.text})).want(t, 1, tt.want)
		})
	}
}
