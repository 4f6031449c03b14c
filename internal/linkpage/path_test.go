package linkpage_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestF05ALinkWithSomethingAroundItOpens: people copy links out of sentences,
// and mail programs add marks and line breaks.
func TestF05ALinkWithSomethingAroundItOpens(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	code := m.Code.Reveal()
	half := code[:10] + "%s" + code[10:]
	around := []string{code}
	for _, tail := range []string{
		".", ")", ">", "%3E", ",", ";", "!", "…", "%E2%80%A6", "%22", "'", "%E2%80%9D", "%C2%BB", "%20", "%0A", "%0D%0A", "*", "_", "=", "/", "//", "/.", "/)", "&gt;", "%5D", "%7D",
		"%E2%80%8B", "%EF%BB%BF", "%E2%81%A9", "%3F", "%23", "%25", "%00", "%FF", "and", ".html", "/index.html", ":",
	} {
		around = append(around, code+tail)
	}
	for _, front := range []string{"%20", "(", "%3C", "%22", "%E2%80%8B", "%E2%80%9C", "/", "//", "%2F", "*", "_"} {
		around = append(around, front+code)
	}
	for _, inside := range []string{"%20", "%0A", "%0D%0A%20", "%E2%80%8B", "%C2%AD", "=%0A", "-"} {
		around = append(around, strings.ReplaceAll(half, "%s", inside))
	}
	for _, page := range []struct{ path, shows string }{
		{"/c/", `action="/c/` + code + `"`}, {"/C/", `action="/c/` + code + `"`}, {"//c/", `action="/c/` + code + `"`}, {"/c//", `action="/c/` + code + `"`},
		{"/s/", `action="/s/` + code + `"`}, {"/S/", `action="/s/` + code + `"`}, {"/done/", "Northwind"}, {"/Done/", "Northwind"},
	} {
		for _, a := range around {
			got := s.send(http.MethodGet, page.path+a, http.Header{"Accept": {"text/html"}}, nil)
			if got.StatusCode != http.StatusOK || !strings.Contains(got.body, page.shows) {
				t.Errorf("%s%s: %d", page.path, strings.ReplaceAll(a, code, "CODE"), got.StatusCode)
			}
		}
	}
	for path, want := range map[string]int{"/c/" + code + "/not-me/": 200, "/C/" + code + "./not-me": 200, "/c/" + code + "/renew": 303, "/c/" + code + "/not-me/undo": 303, "/c/" + code + "/verify/again": 303} {
		if got := s.do("GET", path); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", strings.ReplaceAll(path, code, "CODE"), got.StatusCode, want)
		}
	}
	if got := s.press("/c/" + code + "."); got.StatusCode != http.StatusSeeOther || s.Get(m.ID).Progress != invite.Continued {
		t.Errorf("a press: %d", got.StatusCode)
	}
}

// TestCodesOfEarlierVersionsWork, also with what stood behind them in a text.
func TestCodesOfEarlierVersionsWork(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	code := secret.New(access.NewCode().Reveal()[:access.OldCodeLength])
	s.Exec(`UPDATE codes SET digest = $2 WHERE invite_id = $1`, m.ID, secret.Digest(code))
	for _, behind := range []string{"", ".", ". Thanks", "a", "and more", "/"} {
		if got := s.do("GET", "/c/"+code.Reveal()+url.PathEscape(behind)); got.StatusCode != http.StatusOK {
			t.Errorf("with %q behind it: %d", behind, got.StatusCode)
		}
	}
	if got := s.do("GET", "/c/"+code.Reveal()[:access.OldCodeLength-1]); got.StatusCode != http.StatusNotFound {
		t.Errorf("a letter fewer: %d", got.StatusCode)
	}
	if got := s.press("/c/" + code.Reveal()); got.StatusCode != http.StatusSeeOther || s.Get(m.ID).Progress != invite.Continued {
		t.Errorf("a press: %d", got.StatusCode)
	}
}

// TestF05WrongCodesStayWrong: lenient parsing does not turn invalid codes into
// valid ones, and each wrong code still counts as a guess.
func TestF05WrongCodesStayWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	code := m.Code.Reveal()
	for name, path := range map[string]string{
		"a letter in front": "/c/x" + code, "a letter inside": "/c/" + code[:10] + "x" + code[10:], "cut off": "/c/" + code[:18], "in capitals": "/c/" + strings.ToUpper(code),
	} {
		if got := s.do("GET", path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if got := s.do("GET", "/c/"+code[:access.CodeLength-1]); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "The last letter is missing") {
		t.Errorf("a letter fewer: %d", got.StatusCode)
	}
	slowed := 0
	for range 10 {
		if s.do("GET", "/c/"+access.NewCode().Reveal()+".").StatusCode == http.StatusTooManyRequests {
			slowed++
		}
	}
	if slowed != 5 { // ten a minute, five were made above
		t.Errorf("%d of 10 guesses were slowed down", slowed)
	}
}

// TestF05APersonSeesAPageWhateverThePath, a program a document.
func TestF05APersonSeesAPageWhateverThePath(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	page := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
	for path, want := range map[string]int{"/c/": 404, "/c": 404, "/C/": 404, "//c//": 404, "/s/": 404, "/done/": 404, "/c/...": 404, "/nothing/here": 404, "/": 200, "/c/%00": 404} {
		got := s.send(http.MethodGet, path, page, nil)
		if got.StatusCode != want || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.Header.Get("Content-Type"))
		}
	}
	if got := s.send(http.MethodGet, "/", page, nil); !strings.Contains(got.body, "Open the link from your message") {
		t.Error("the page of the host says nothing of the message")
	}
	for _, path := range []string{"/v1/nothing", "/nothing"} {
		header := page
		if path == "/nothing" {
			header = http.Header{"Accept": {"application/json"}}
		}
		if got := s.send(http.MethodGet, path, header, nil); got.StatusCode != 404 || got.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.Header.Get("Content-Type"))
		}
	}
	if got := s.do("GET", "/favicon.ico"); got.StatusCode != http.StatusNoContent || got.Header.Get("Content-Type") != "" {
		t.Errorf("the icon: %d %s", got.StatusCode, got.Header.Get("Content-Type"))
	}
}
