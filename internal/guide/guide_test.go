package guide_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/docs"
	"github.com/connectlink/connectlink/internal/guide"
)

func load(t *testing.T) *guide.Set {
	t.Helper()
	s, err := guide.Load(docs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fileOf is the file of a guide.
func fileOf(g guide.Guide) string {
	return strings.NewReplacer("mobile-", "mobile/", "runbooks-", "runbooks/").Replace(g.Slug) + ".md"
}

func TestEveryGuideIsListedAndItsLinksLeadToGuides(t *testing.T) {
	t.Parallel()
	s := load(t)
	for _, group := range s.Groups {
		for _, g := range group.Guides {
			if g.Title == "" || len(g.HTML) < 300 || strings.Contains(string(g.HTML), ".md") && strings.Contains(string(g.HTML), `href="`+g.Slug) {
				t.Errorf("guide %s: title %q, %d bytes", g.Slug, g.Title, len(g.HTML))
			}
			if found, ok := s.Find(g.Slug); !ok || found.URL() != "/docs/guides/"+g.Slug {
				t.Errorf("guide %s is not found by its slug", g.Slug)
			}
		}
	}
	if _, ok := s.Find("../README"); ok {
		t.Error("a file outside of the guides is served")
	}
}

// TestLoadNamesAllFaults: a link that leads nowhere is a fault of the page that has it.
func TestLoadNamesAllFaults(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, group := range load(t).Groups {
		for _, g := range group.Guides {
			files[fileOf(g)] = &fstest.MapFile{Data: []byte("# Title\n\nText.\n")}
		}
	}
	if _, err := guide.Load(files); err != nil {
		t.Fatal(err)
	}
	files["quickstart.md"] = &fstest.MapFile{Data: []byte("# Title\n\n[a](missing.md), [b](concepts.md#missing), [c](#missing)\n")}
	files["extra.md"] = &fstest.MapFile{Data: []byte("# Extra\n")}
	files["api.md"] = &fstest.MapFile{Data: []byte("no heading")}
	delete(files, "webhooks.md")
	_, err := guide.Load(files)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"to missing#", "to concepts#missing", "to quickstart#missing", "extra.md is in no group", "guide api: it has no first heading", "guide webhooks: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestGuidesCarryNoMarkupOfTheirOwn(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, group := range load(t).Groups {
		for _, g := range group.Guides {
			files[fileOf(g)] = &fstest.MapFile{Data: []byte("# Title\n\nText.\n")}
		}
	}
	files["quickstart.md"] = &fstest.MapFile{Data: []byte("# A & B\n\nText <script>alert(1)</script> [x](javascript:alert(1)) [out](../go.mod) [next](api.md)\n\n```sh\n<b>\n```\n")}
	s, err := guide.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := s.Find("quickstart")
	html := string(g.HTML)
	for _, bad := range []string{"<script", "javascript:", "go.mod", "<b>"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %q:\n%s", bad, html)
		}
	}
	if g.Title != "A & B" || !strings.Contains(html, `href="/docs/guides/api"`) || !strings.Contains(html, "out") {
		t.Errorf("title %q, page:\n%s", g.Title, html)
	}
}

func TestSearchFindsSectionsWithAllWords(t *testing.T) {
	t.Parallel()
	s := load(t)
	s.Add(guide.Section{Page: "Errors", Heading: "unknown_app", URL: "/docs/errors/unknown_app", Text: "There is no app with this slug."})
	first := func(query string) string {
		hits := s.Search(query)
		if len(hits) == 0 {
			return "nothing"
		}
		return hits[0].URL
	}
	got := map[string]string{}
	for _, query := range []string{"Python verify", "IDEMPOTENCY", "unknown_app slug", "zebra", "  ", "bounced address_not_found"} {
		got[query] = first(query)
	}
	want := map[string]string{
		"Python verify": "/docs/guides/verify-webhooks#python", "IDEMPOTENCY": "/docs/guides/api#idempotency",
		"unknown_app slug": "/docs/errors/unknown_app", "zebra": "nothing", "  ": "nothing",
		"bounced address_not_found": "/docs/guides/test-recipients#email-deliveryjourneyconnectlinktest",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	hits := s.Search("the")
	if len(hits) != 30 {
		t.Errorf("%d hits, want at most 30", len(hits))
	}
	for _, h := range hits {
		if len(h.Excerpt) > 200 {
			t.Errorf("an excerpt has %d bytes: %q", len(h.Excerpt), h.Excerpt)
		}
	}
}
