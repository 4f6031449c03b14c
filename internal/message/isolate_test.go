package message_test

import (
	"strings"
	"testing"
)

// TestConsolePNamesStandApartWhereBdiIsDropped: Gmail, Outlook and Yahoo drop
// <bdi>, so that a Hebrew name in an English mail moved the words around it.
func TestConsolePNamesStandApartWhereBdiIsDropped(t *testing.T) {
	t.Parallel()
	const begin, end = "\u2068", "\u2069"
	for name, c := range map[string]struct {
		locale, recipient string
		apart             bool
	}{
		"Hebrew in English": {"en", "דוד לוי", true},
		"Arabic in German":  {"de", "علي رضا", true},
		"Latin in English":  {"en", "Pat Doe", false},
		"Latin in Arabic":   {"ar", "Pat Doe", true},
		"Arabic in Arabic":  {"ar", "علي رضا", false},
	} {
		mail := mailTo(t, c.locale, c.recipient)
		if got := strings.Contains(mail, "<bdi>"+begin+c.recipient+end+"</bdi>"); got != c.apart {
			t.Errorf("%s: in an isolate %t, want %t", name, got, c.apart)
		}
		if !c.apart && !strings.Contains(mail, "<bdi>"+c.recipient+"</bdi>") {
			t.Errorf("%s: the name is not in the mail as it is", name)
		}
	}
}

// TestConsolePEveryPartOfAMailWraps: a word of 52 letters in the greeting made
// the mail 49 px too wide at 390 px.
func TestConsolePEveryPartOfAMailWraps(t *testing.T) {
	t.Parallel()
	mail := mailTo(t, "de", strings.Repeat("Donaudampfschiff", 4))
	for _, tag := range []string{`<p class="ink`, `<h1 class="h1 ink`, `<td class="card`} {
		for i, part := range strings.Split(mail, tag)[1:] {
			style, _, _ := strings.Cut(part, ">")
			if !strings.Contains(style, "overflow-wrap:anywhere") || !strings.Contains(style, "word-break:break-word") {
				t.Errorf("%s, number %d, does not wrap: %s", tag, i+1, style)
			}
		}
	}
}

func mailTo(t *testing.T, locale, recipient string) string {
	t.Helper()
	v := sample()
	v.Locale, v.RecipientName = locale, recipient
	mail, err := newRenderer(t).Email(v)
	if err != nil {
		t.Fatal(err)
	}
	return mail.HTML.Reveal()
}
