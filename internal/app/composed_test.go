package app_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/templates"
)

// writtenLanguages are the languages with messages of their own.
func writtenLanguages(t *testing.T) []string {
	t.Helper()
	r, err := message.NewRenderer(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r.Languages()
}

// TestAPreviewEqualsTheMessage sends each kind of message that staff and callers can
// preview, by both channels, in every language, through the whole process, and
// compares what arrived with the previews of the API and the console.
func TestAPreviewEqualsTheMessage(t *testing.T) {
	t.Parallel()
	var stopped atomic.Pointer[time.Time] // the clock of this process while a preview is made
	p := start(t, boot{now: func() time.Time {
		if at := stopped.Load(); at != nil {
			return *at
		}
		return time.Now()
	}})
	p.awaitLogo("google_search_console")
	viewer := p.staff(access.RoleViewer)
	var all []*comparison
	for _, lang := range writtenLanguages(t) {
		for _, channel := range []string{"email", "sms"} {
			all = append(all, compared(p, viewer, lang, channel))
		}
	}
	for _, s := range all {
		sent := s.newest(1)
		stopped.Store(&s.made)
		s.equal("first, API", sent, s.draft(), "preview-000000000000")
		stopped.Store(nil)
		s.equal("first, console", sent.withoutHTML(), s.shown(), "****")
	}
	for _, s := range all {
		s.pages(&stopped)
	}
	p.sql(`UPDATE invites SET remind_at = now()`)
	for _, s := range all {
		s.equal("reminder, console", s.newest(2).withoutHTML(), s.shown(), "****")
	}
	for _, s := range all {
		if status, _, out := p.call("POST", "/v1/invites/"+s.id+"/resend", object{}); status != http.StatusOK {
			t.Fatalf("resend: %d %v", status, out)
		}
	}
	for _, s := range all {
		s.equal("resend, console", s.newest(3).withoutHTML(), s.shown(), "****")
	}
}

// comparison is one invite whose messages are compared with their previews.
type comparison struct {
	*product
	viewer            *visitor
	lang, channel, id string
	reference         string
	made              time.Time
	link              string
	body              object
}

// compared creates an invite that says all it can, and lasts so long that its messages
// count hours.
func compared(p *product, viewer *visitor, lang, channel string) *comparison {
	p.t.Helper()
	s := &comparison{product: p, viewer: viewer, lang: lang, channel: channel}
	s.body = object{
		"external_user_id": "user-" + lang + "-" + channel, "app": "google_search_console", "channel": channel, "valid_for": 7 * 24 * 3600,
		"recipient": object{"email": "delivered+" + lang + "@connectlink.test", "phone": "+12025550100", "name": "Pat", "locale": lang, "time_zone": "Europe/Berlin"},
		"inviter":   object{"name": "Sam Rivera"}, "reason": "to post your build results", "note": "The finance workspace, please",
		"initiated_by": map[bool]string{true: "product", false: "user"}[lang == "en"], "reminders": object{"count": 1},
	}
	made := p.invite(http.StatusCreated, s.body)
	s.id, s.reference, s.link = made.text("id"), made.text("reference"), made.text("invite_link.url")
	var err error
	if s.made, err = time.Parse(time.RFC3339Nano, made.text("created_at")); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// words is what a recipient reads.
type words struct{ Subject, Text, HTML string }

// withoutHTML is for the console's preview of a mail, which strips the HTML of what
// leads elsewhere.
func (w words) withoutHTML() words { return words{w.Subject, w.Text, ""} }

// newest waits until an invite has n messages and the last has arrived, and
// returns that.
func (s *comparison) newest(n int) words {
	s.t.Helper()
	s.until(s.id, "delivered", func(inv object) bool {
		list, _ := inv["deliveries"].([]any)
		// The list is read after the invite, so the invite may show the message before.
		return len(list) == n && object(list[n-1].(map[string]any)).text("status") == "delivered"
	})
	_, _, list := s.call("GET", "/v1/test_helpers/messages?invite="+s.id, nil)
	m := object(list["data"].([]any)[0].(map[string]any))
	return words{m.text("subject"), m.text("text"), m.text("html")}
}

// draft is the API's preview of the same request.
func (s *comparison) draft() words {
	s.t.Helper()
	status, _, out := s.call("POST", "/v1/invites/preview", s.body)
	if status != http.StatusOK {
		s.t.Fatalf("preview: %d %v", status, out)
	}
	one := object(out["previews"].([]any)[0].(map[string]any))
	if one.text("language") != s.lang {
		s.t.Errorf("%s: the preview is in %s", s.lang, one.text("language"))
	}
	if s.channel == "sms" {
		return words{Text: one.text("sms.text")}
	}
	return words{one.text("email.subject"), one.text("email.text"), one.text("email.html")}
}

var (
	besideWide   = regexp.MustCompile(`([\x{3000}-\x{30ff}\x{4e00}-\x{9fff}\x{ff00}-\x{ffef}])\s+|\s+([\x{3000}-\x{30ff}\x{4e00}-\x{9fff}\x{ff00}-\x{ffef}])`)
	shownText    = regexp.MustCompile(`(?s)<pre class="plain" dir="auto">(.*?)</pre>`)
	shownSubject = regexp.MustCompile(`<h2 id="text"><bdi>(.*?)</bdi>`)
	shownBubble  = regexp.MustCompile(`(?s)class="bubble"[^>]*>(.*?)</p>`)
)

// shown is the console's preview of the latest message. It masks name and address,
// which are put back.
func (s *comparison) shown() words {
	s.t.Helper()
	if s.channel == "sms" {
		return words{Text: s.cut(shownBubble, "sms")}
	}
	unmask := strings.NewReplacer("d••@c•••.test", "delivered+"+s.lang+"@connectlink.test", "P••", "Pat")
	return words{Subject: s.cut(shownSubject, "text"), Text: unmask.Replace(s.cut(shownText, "text"))}
}

func (s *comparison) cut(part *regexp.Regexp, as string) string {
	s.t.Helper()
	page := s.viewer.get("/console/default/test/invites/" + s.id + "/saw?as=" + as)
	m := part.FindStringSubmatch(page)
	if m == nil {
		s.t.Fatalf("%s: the page shows no %s", s.lang, as)
	}
	return html.UnescapeString(m[1])
}

var linkCode = regexp.MustCompile(`/([cs])/[A-Za-z0-9_-]{22}`)

// equal compares a message with its preview. Its links have a code of their own,
// and a masked address breaks the lines of a mail elsewhere.
func (s *comparison) equal(what string, sent, preview words, code string) {
	s.t.Helper()
	comparable := func(text string) string {
		text = strings.ReplaceAll(text, s.reference, compose.PreviewReference)
		text = strings.Join(strings.Fields(linkCode.ReplaceAllString(text, "/$1/"+code)), " ")
		return besideWide.ReplaceAllString(text, "$1$2") // a name of another length ends lines elsewhere
	}
	if !strings.Contains(comparable(sent.Text), code) {
		s.t.Errorf("%s by %s, %s: the message has no link:\n%s", s.lang, s.channel, what, sent.Text)
	}
	for _, part := range []struct{ name, sent, preview string }{
		{"subject", sent.Subject, preview.Subject}, {"text", sent.Text, preview.Text}, {"HTML", sent.HTML, preview.HTML},
	} {
		if diff := cmp.Diff(comparable(part.sent), comparable(part.preview)); diff != "" {
			s.t.Errorf("%s by %s, %s: the %s differs (- sent, + preview)\n%s", s.lang, s.channel, what, part.name, diff)
		}
	}
}

// pages compares the pages that the recipient can reach now with the API's previews.
func (s *comparison) pages(stopped *atomic.Pointer[time.Time]) {
	s.t.Helper()
	stopped.Store(&s.made)
	_, _, out := s.call("POST", "/v1/invites/preview", s.body)
	stopped.Store(nil)
	previews := map[string]string{}
	for _, one := range object(out["previews"].([]any)[0].(map[string]any))["pages"].([]any) {
		previews[object(one.(map[string]any)).text("state")] = object(one.(map[string]any)).text("html")
	}
	visitor := s.visitor(s.t)
	reached := map[string]string{"ready": s.link, "not_me": s.link + "/not-me", "stop": strings.Replace(s.link, "/c/", "/s/", 1)}
	if s.lang == "en" { // these know no invite, so their language is the browser's
		reached["unknown"], reached["start"] = s.base+"/c/"+strings.Repeat("0", 20), s.base+"/"
	}
	for state, address := range reached {
		_, _, seen := visitor.do("GET", strings.TrimPrefix(address, s.base), "")
		if diff := cmp.Diff(s.comparablePage(seen), s.comparablePage(previews[state])); diff != "" {
			s.t.Errorf("%s by %s: the page %s differs (- page, + preview)\n%s", s.lang, s.channel, state, diff)
		}
	}
}

var (
	nonce = regexp.MustCompile(`nonce="[A-Z0-9]{26}"`)
	qr    = regexp.MustCompile(`(?s)<svg class="qr".*?</svg>`)
)

// comparablePage puts a mark in place of what each link, invite and answer has of its own.
func (s *comparison) comparablePage(src string) string {
	for _, own := range []*regexp.Regexp{nonce, qr} {
		src = own.ReplaceAllString(src, "")
	}
	src = linkCode.ReplaceAllString(src, "/$1/code")
	return strings.ReplaceAll(src, s.reference, compose.PreviewReference)
}
