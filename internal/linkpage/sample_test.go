package linkpage_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
)

// samplePages are what the page of a sample's link is headed in each language.
func samplePages() map[string]string {
	return map[string]string{
		"en": "This is a sample of a message", "de": "Dies ist das Muster einer Nachricht", "es": "Esta es la muestra de un mensaje", "fr": "Ceci est un exemple de message", //nolint:misspell // French
		"ar": "هذه عينة من رسالة", "pt-BR": "Esta é uma amostra de mensagem", "ja": "これはメッセージの見本です",
	}
}

// The link of a message that staff sent to themselves, and the addresses below it, show one
// page that says so, in the reader's language, which they can change.
func TestTheLinkOfASampleSaysThatItIsOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	code := compose.SampleCode
	if len(code) != access.CodeLength || access.ValidCode(code) {
		t.Fatalf("%q can be an invite's code, or is of another length", code)
	}
	for lang, head := range samplePages() {
		for _, a := range []answer{
			s.send(http.MethodGet, "/c/"+code, http.Header{"Accept-Language": {lang}}, nil), s.send(http.MethodGet, "/c/"+code+"?lang="+lang, nil, nil),
		} {
			if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "<h1>"+head+"</h1>") || a.Header.Get("Content-Language") != lang || a.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s: %d %s", lang, a.StatusCode, a.Header.Get("Content-Language"))
			}
			if n := strings.Count(a.body, "hreflang="); n != len(samplePages())-1 || strings.Contains(a.body, "<form") {
				t.Errorf("%s: %d other languages, or a form", lang, n)
			}
		}
	}
	before := s.Count(`SELECT count(*) FROM events`)
	for _, path := range []string{"/c/" + code + ".", "/c/(" + code + ")", "/C/" + code, "//c//" + code + "/", "/c/" + code + "/not-me", "/c/" + code + "/renew", "/s/" + code, "/done/" + code + "?outcome=error"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if a := s.do(method, path); a.StatusCode != http.StatusOK || !strings.Contains(a.body, samplePages()["en"]) {
				t.Errorf("%s %s: %d", method, path, a.StatusCode)
			}
		}
	}
	if a := s.do(http.MethodHead, "/c/"+code); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
	// It is no guess: a hundred of them use up nothing.
	for range 100 {
		s.do(http.MethodGet, "/c/"+code)
	}
	if a := s.do(http.MethodGet, "/c/"+access.NewCode().Reveal()); a.StatusCode != http.StatusNotFound {
		t.Errorf("a wrong code after them: %d", a.StatusCode)
	}
	if n := s.Count(`SELECT count(*) FROM events`); n != before {
		t.Errorf("%d events were added", n-before)
	}
}
