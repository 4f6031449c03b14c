package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

// twoStops is a sentence that ends twice, with nothing but marks of isolation between.
var twoStops = regexp.MustCompile(`[^.]\.[\x{2066}-\x{2069}]*\.([^.]|$)`)

// Finding D: the words of reasons come from a table that no catalogue held.
func TestConsoleDNoReasonIsInEnglishInATranslatedConsole(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	s.bounced("user-101", "pat@customer.example", "Pat")
	s.exec(`UPDATE invites SET expires_at = now() + interval '2 hours 52 minutes' WHERE id = $1`, s.ids["user-101"])
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	for _, lang := range []string{"de", "ar", "es", "fr"} {
		robin.extra = http.Header{"Accept-Language": {lang}}
		for _, state := range []struct {
			status invite.DeliveryStatus
			words  []invite.Explanation
		}{{invite.Bounced, invite.Explanations()}, {invite.Deferred, invite.ExplanationsWhileTrying()}} {
			for _, e := range state.words {
				s.exec(`UPDATE deliveries SET status = $2, reason = $3 WHERE invite_id = $1`, s.ids["user-101"], string(state.status), string(e.Code))
				for _, path := range []string{"/invites/" + s.ids["user-101"].String(), "/invites"} {
					page := html.UnescapeString(robin.get("/console/default/test" + path).body)
					if !strings.Contains(page, `<html lang="`+lang+`"`) {
						t.Fatalf("the page is not in %s", lang)
					}
					for _, english := range []string{e.Title, e.Advice, strings.ToLower(e.Title[:1]) + e.Title[1:]} {
						if strings.Contains(page, english) {
							t.Errorf("%s, %s of %s: %q is English", lang, path, e.Code, english)
						}
					}
					_, sentence, _ := strings.Cut(page, `class="sentence"`)
					sentence, _, _ = strings.Cut(sentence, "</p>")
					if twoStops.MatchString(sentence) {
						t.Errorf("%s, %s of %s: two full stops in %q", lang, path, e.Code, sentence)
					}
				}
			}
		}
	}
}

// What a use case has against a form comes in English with the cause; the page
// says it in its own language.
func TestConsoleDAFormIsRefusedInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	s.bounced("user-101", "pat@customer.example", "Pat")
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	home := "/console/default/test/invites/" + s.ids["user-101"].String()
	for lang, want := range map[string]string{"en": "email", "de": "Das ist nicht gültig.", "ar": "هذا غير صالح.", "es": "Esto no es válido.", "fr": "est pas valable."} {
		robin.extra = http.Header{"Accept-Language": {lang}}
		a := robin.post(home+"/resend", url.Values{"do": {"send"}, "channel": {"email"}, "email": {"no address at all"}, "version": {"1"}})
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d lacks %q:\n%s", lang, a.StatusCode, want, a.body)
		}
		for _, english := range []string{"is not", "must", "contains", "letters"} {
			if _, main, _ := strings.Cut(a.body, "<main"); lang != "en" && slices.Contains(strings.Fields(main), english) {
				t.Errorf("%s: %q is English:\n%s", lang, english, main)
			}
		}
	}
}
