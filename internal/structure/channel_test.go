package structure_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
)

// channelFile is a file that names a channel of messages, and what a new channel
// adds to it.
type channelFile struct{ path, adds string }

// channelFiles are all files that a new channel touches. docs/architecture.md lists
// them.
func channelFiles() []channelFile {
	return []channelFile{
		{"internal/invite/channel.go", "the constant and the row of `Specs`"},
		{"internal/invite/reason.go", "the action \"switch to the channel\", where a reason advises it"},
		{"internal/console/story/channel.go", "its names in the console"},
		{"internal/console/story/next.go", "the button of that action"},
		{"templates/console/resend.html", "the choice in the form, and the address field"},
		{channelWords, "its words on the pages of links, in each language"},
		{"internal/httpapi/openapi.yaml", "its name in the enumerations"},
		{"cmd/connectlink/invites_create.go", "the flag that chooses it"},
		{"config/accounts.go", "its order of providers and its time for reports"},
		{"config/projects.go", "the setting of that order"},
		{"config/ready.go", "the check that a provider is configured"},
		{"config/settings.go", "the setting of that time"},
		{"config/types.go", "the fields of both settings"},
		{"internal/page/data.go", "the rehearsal of the pages at start"},
		{"internal/store/ledger/redaction.go", "whether its texts are redacted at the provider"},
	}
}

// otherNames are files that write a channel's name and do not change with a new
// channel.
func otherNames() []channelFile {
	return []channelFile{
		{"internal/message/renderer.go", "the folder of the form text, which channels share"},
		{"internal/console/preview.go", "the tab of the form text"},
		{"internal/httpapi/preview.go", "the member of the form text"},
		{"templates/console/saw.html", "the tab of the form text"},
		{"templates/console/new.html", "the order of the two forms"},
		{"internal/contact/link.go", "a scheme of URLs"},
		{"cmd/connectlink/tour.go", "an example"},
	}
}

// mostChannelFiles bounds how many existing files a new channel may touch.
const mostChannelFiles = 16

// channelWords are files of all languages, which differ in nothing but the language.
const channelWords = "templates/*/pages/channel.html"

var channelName = regexp.MustCompile(`\binvite\.(?:SMS|Email)\b|"sms"|'sms'|\b(?:SMSProviders|NoReceiptSMS|SwitchToSMS)\b|enum: \[[^\]]*\bsms\b|(?:eq|ne) \.\w+ "email"`)

// namesChannel lists the files of the product that name a channel. What belongs to one
// vendor names the channel that this vendor serves.
func namesChannel(t *testing.T) []string {
	t.Helper()
	vendor := regexp.MustCompile(`^internal/(?:provider/|sandbox/|app/vendor_)`)
	var out []string
	for _, top := range []string{"internal", "cmd", "config", "templates"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			switch filepath.Ext(rel) {
			case ".go", ".html", ".yaml", ".txt":
			default:
				return nil
			}
			if strings.HasSuffix(rel, "_test.go") || strings.Contains(rel, "/testdata/") || isSupport(filepath.ToSlash(filepath.Dir(rel))) || vendor.MatchString(rel) {
				return nil
			}
			text, err := os.ReadFile(path)
			if isWords, _ := filepath.Match(channelWords, rel); isWords {
				rel = channelWords
			}
			if err == nil && channelName.Match(text) && !slices.Contains(out, rel) {
				out = append(out, rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The table of channels is asked, not the channel's name: a file that names one more
// is a file more that a new channel touches.
func TestFewFilesNameAChannel(t *testing.T) {
	t.Parallel()
	named := namesChannel(t)
	listed := map[string]bool{}
	for _, f := range append(channelFiles(), otherNames()...) {
		listed[f.path] = true
		if !slices.Contains(named, f.path) {
			t.Errorf("%s names no channel any more (%s): take it off the list", f.path, f.adds)
		}
	}
	for _, path := range named {
		if !listed[path] {
			t.Errorf("%s names a channel: ask invite.Specs what it needs to know, or list the file", path)
		}
	}
	if n := len(channelFiles()); n > mostChannelFiles {
		t.Errorf("a new channel touches %d files; at most %d", n, mostChannelFiles)
	}
}

// Package config stands below invite and has names of its own for the channels.
func TestConfigurationKnowsEveryChannel(t *testing.T) {
	t.Parallel()
	p := config.Project{EmailProviders: []string{"one"}, SMSProviders: []string{"two"}}
	c := config.Config{NoReceiptEmail: time.Hour, NoReceiptSMS: time.Minute}
	for _, ch := range invite.Channels() {
		if len(p.Providers(string(ch))) == 0 || c.NoReceipt(string(ch)) == 0 {
			t.Errorf("package config has no settings for %s", ch)
		}
	}
}

func channelTable() string {
	var b strings.Builder
	b.WriteString("| File | What a new channel adds |\n|---|---|\n")
	for _, f := range channelFiles() {
		fmt.Fprintf(&b, "| %s | %s |\n", code(f.path), f.adds)
	}
	return b.String()
}
