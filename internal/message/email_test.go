package message_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

func render(t testing.TB, r *message.Renderer, v message.Vars) message.Email {
	t.Helper()
	mail, err := r.Email(v)
	if err != nil {
		t.Fatal(err)
	}
	return mail
}

func parse(t testing.TB, src string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, class string) bool {
	return slices.Contains(strings.Fields(attr(n, "class")), class)
}

// besideWide is the space beside a Japanese character, where lines of the text part end
// without one.
var besideWide = regexp.MustCompile(`([\x{3000}-\x{30ff}\x{4e00}-\x{9fff}\x{ff00}-\x{ffef}])\s+|\s+([\x{3000}-\x{30ff}\x{4e00}-\x{9fff}\x{ff00}-\x{ffef}])`)

func TestTextAndHTMLSayTheSame(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for name, v := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mail := render(t, r, v)
			want := visibleWords(parse(t, mail.HTML.Reveal()))
			var got []string
			for _, w := range strings.Fields(besideWide.ReplaceAllString(mail.Text.Reveal(), "$1$2")) {
				if w != "--" {
					got = append(got, w)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the parts differ (-HTML +text):\n%s", diff)
			}
		})
	}
}

// visibleWords reads a mail as the text part writes it: the button with its
// address, and without the hint to copy that address.
func visibleWords(doc *html.Node) []string {
	var b strings.Builder
	colon := ": "
	for n := range doc.Descendants() {
		if attr(n, "lang") == "fr" {
			colon = "\u00a0: "
		}
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
			return
		case n.Data == "head", hasClass(n, "preheader"), hasClass(n, "copy"), attr(n, "aria-hidden") == "true":
			return
		case n.Data == "img":
			b.WriteString(" " + attr(n, "alt") + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if hasClass(n, "button") {
			b.WriteString(colon + attr(n, "href"))
		}
		if slices.Contains([]string{"p", "td", "tr", "h1", "br", "table"}, n.Data) {
			b.WriteString(" ")
		}
	}
	walk(doc)
	return strings.Fields(besideWide.ReplaceAllString(b.String(), "$1$2"))
}

func TestEmailIsSmallAndLoadsNothing(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for name, v := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := render(t, r, v).HTML.Reveal()
			if len(src) >= 20_000 {
				t.Errorf("the HTML has %d bytes", len(src))
			}
			for _, banned := range []string{"url(", "@import", "<script", "<link", "<img", "<iframe", "http-equiv", "javascript:"} {
				if strings.Contains(strings.ToLower(src), banned) {
					t.Errorf("the HTML contains %q", banned)
				}
			}
			links := map[string]int{}
			for n := range parse(t, src).Descendants() {
				if attr(n, "src") != "" || attr(n, "background") != "" || attr(n, "srcset") != "" {
					t.Errorf("<%s> loads something", n.Data)
				}
				if h := attr(n, "href"); h != "" {
					links[h]++
				}
				if n.Data == "table" && attr(n, "role") != "presentation" {
					t.Error("a layout table is announced as a table")
				}
			}
			want := map[string]int{v.URL.Reveal(): 2, v.PrivacyURL: 1}
			if diff := cmp.Diff(want, links); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALogoIsTheOnlyThingLoaded(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	v := sample()
	v.LogoURL = "https://acme.example/logo.png"
	var loaded []string
	for n := range parse(t, render(t, r, v).HTML.Reveal()).Descendants() {
		if s := attr(n, "src"); s != "" {
			loaded = append(loaded, s)
			if attr(n, "alt") != "Acme" {
				t.Error("without pictures the brand would be gone")
			}
		}
	}
	if diff := cmp.Diff([]string{v.LogoURL}, loaded); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"http://acme.example/l.png", "javascript:alert(1)", "data:image/png;base64,AA", "//acme.example/l.png", "https://a b/l.png"} {
		v.LogoURL = bad
		if strings.Contains(render(t, r, v).HTML.Reveal(), "<img") {
			t.Errorf("logo %q was taken", bad)
		}
	}
}

func TestSubjectShortensTheAppBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, tt := range []struct {
		name, brand, app, short string
		kind                    message.Kind
		want                    string
	}{
		{"all fits", "Acme", "Slack", "", message.First, "Connect your Slack account to Acme"},
		{"exactly sixty stays", "Acme", strings.Repeat("x", 31), "", message.First, "Connect your " + strings.Repeat("x", 31) + " account to Acme"},
		{"long app takes its short name", "Northwind Traders", "Google Search Console", "", message.First, "Connect your Search Console account to Northwind Traders"},
		{"the caller's short name wins", "Northwind Traders", "Google Search Console", "GSC", message.First, "Connect your GSC account to Northwind Traders"},
		{"long brand drops words", "Northwind Traders International AG", "Search Console", "", message.First, "Connect Search Console to Northwind Traders International AG"},
		{"brand of its own length", strings.Repeat("N", 70), "Slack", "", message.First, "Connect your account"},
		{"resend differs", "Acme", "Slack", "", message.Resend, "New link to connect Slack to Acme"},
		{"resend, hopeless", strings.Repeat("N", 70), "Slack", "", message.Resend, "Your new link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := sample()
			v.Brand, v.AppName, v.AppShort, v.Kind = tt.brand, tt.app, tt.short, tt.kind
			if got := render(t, r, v).Subject; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// hostile values: markup, template syntax, header breaks, formatting verbs,
// direction overrides, invisible and broken characters.
var hostile = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`</style><h1>x`,
	`{{.URL}}{{template "email" .}}`,
	"Pat\r\nBcc: everyone@example.org\r\n\r\nbody",
	"Pat\nX-Header: 1",
	"Pat\x00\x1b[31m",
	"%s%d%n%x%!",
	"\u202emoc.live\u202c",
	"a\u200b\u2066b\u2069\ufeffc",
	"\u2028\u2029\u0085line",
	"\xff\xfe broken",
	"Z̸̢̛̺̮̰̳͚̎̂͗̿̈́a̵̡̛l̴̢g̷̛o̶",
	"See https://evil.example/login now www.evil.example",
	strings.Repeat("long ", 500),
	strings.Repeat("x", 5000),
	`javascript:alert(1)`,
	"👩‍👩‍👧‍👦 & Söhne \\ ' \" `",
}

func TestHostileValuesStayText(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	fields := map[string]func(*message.Vars, string){
		"brand":     func(v *message.Vars, s string) { v.Brand = s },
		"app":       func(v *message.Vars, s string) { v.AppName = s },
		"short app": func(v *message.Vars, s string) { v.AppShort = s },
		"inviter":   func(v *message.Vars, s string) { v.Inviter = s },
		"reason":    func(v *message.Vars, s string) { v.Reason = s },
		"note":      func(v *message.Vars, s string) { v.Note = s },
		"recipient": func(v *message.Vars, s string) { v.RecipientName = s },
		"address":   func(v *message.Vars, s string) { v.RecipientEmail = secret.New(s) },
		"legal":     func(v *message.Vars, s string) { v.LegalLine = s },
		"support":   func(v *message.Vars, s string) { v.SupportEmail = s },
		"privacy":   func(v *message.Vars, s string) { v.PrivacyURL = s },
		"colour":    func(v *message.Vars, s string) { v.Colour = s },
		"locale":    func(v *message.Vars, s string) { v.Locale = s },
	}
	plain := sample()
	plain.Inviter, plain.Reason, plain.Note = "Sam", "r", "n"
	benign := elements(t, render(t, r, plain).HTML.Reveal())
	for name, set := range fields {
		for i, bad := range hostile {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				t.Parallel()
				v := plain
				set(&v, bad)
				mail, err := r.Email(v)
				if err != nil {
					t.Fatal(err)
				}
				sms, err := r.SMS(v)
				if err != nil {
					t.Fatal(err)
				}
				if n := utf8.RuneCountInString(mail.Subject); n == 0 || n > 60 {
					t.Errorf("the subject has %d characters", n)
				}
				for part, s := range map[string]string{"subject": mail.Subject, "sms": sms.Body.Reveal()} {
					if i := strings.IndexFunc(withoutJoinedEmoji(s), func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }); i >= 0 {
						t.Errorf("%s holds a control character at %d: %q", part, i, s)
					}
				}
				for part, s := range map[string]string{"html": mail.HTML.Reveal(), "text": mail.Text.Reveal()} {
					if strings.ContainsFunc(withoutJoinedEmoji(s), func(r rune) bool {
						return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
					}) {
						t.Errorf("%s holds a control character", part)
					}
					if !strings.Contains(s, inviteURL) || !utf8.ValidString(s) {
						t.Errorf("%s lost the link or is not UTF-8", part)
					}
				}
				if name != "brand" && name != "app" && name != "short app" && name != "address" && name != "legal" && name != "support" {
					if strings.Contains(mail.Text.Reveal(), "evil.example/login") {
						t.Error("a typed address went out as one")
					}
				}
				// No value may add, close or remove an element. What an absent
				// value takes with it is allowed.
				got := elements(t, mail.HTML.Reveal())
				for el, n := range got {
					if n > benign[el] {
						t.Errorf("<%s> appears %d times instead of %d", el, n, benign[el])
					}
				}
				if len(mail.HTML.Reveal()) >= 20_000 {
					t.Errorf("the HTML has %d bytes", len(mail.HTML.Reveal()))
				}
				if !strings.Contains(sms.Body.Reveal(), inviteURL) || !strings.Contains(sms.Body.Reveal(), "STOP") {
					t.Errorf("the text message lost its link or its opt-out: %q", sms.Body.Reveal())
				}
			})
		}
	}
}

func elements(t *testing.T, src string) map[string]int {
	out := map[string]int{}
	for n := range parse(t, src).Descendants() {
		if n.Type == html.ElementNode {
			out[n.Data]++
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("<%s> has a handler %s", n.Data, a.Key)
				}
			}
		}
	}
	return out
}

func TestMessagesThatCannotBeRightAreRefused(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	const canary = "canary7731"
	for name, spoil := range map[string]func(*message.Vars){
		"no brand":            func(v *message.Vars) { v.Brand = "\u200b" },
		"no app":              func(v *message.Vars) { v.AppName = " " },
		"no link":             func(v *message.Vars) { v.URL = secret.Text{} },
		"a link with a break": func(v *message.Vars) { v.URL = secret.New("https://go.example/" + canary + "\n") },
		"a link with a quote": func(v *message.Vars) { v.URL = secret.New(`https://go.example/` + canary + `">`) },
		"a script as link":    func(v *message.Vars) { v.URL = secret.New("javascript:" + canary) },
		"a relative link":     func(v *message.Vars) { v.URL = secret.New("/c/" + canary) },
		"an ended invite":     func(v *message.Vars) { v.ExpiresAt = v.Now },
		"no clock":            func(v *message.Vars) { v.Now = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := sample()
			spoil(&v)
			_, errMail := r.Email(v)
			_, errSMS := r.SMS(v)
			if errMail == nil || errSMS == nil {
				t.Fatalf("rendered: mail %v, sms %v", errMail, errSMS)
			}
			if strings.Contains(errMail.Error()+errSMS.Error(), canary) {
				t.Error("the error quotes the link")
			}
		})
	}
}

func TestVarsDoNotPrint(t *testing.T) {
	t.Parallel()
	v := sample()
	shown := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, &v) + v.LogValue().String()
	for _, private := range []string{"Pat", "pat@customer.example", inviteURL} {
		if strings.Contains(shown, private) {
			t.Errorf("%q shows in %s", private, shown)
		}
	}
}

// withoutJoinedEmoji takes the joiners out of emoji sequences, where they belong.
func withoutJoinedEmoji(s string) string {
	return strings.ReplaceAll(s, "👩\u200d👩\u200d👧\u200d👦", "")
}

// TestF11JoinersReachTheMessage: Persian and Sinhala names arrive as they are
// spelt; a joiner between ASCII letters or at an end is dropped.
func TestF11JoinersReachTheMessage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for sent, want := range map[string]string{
		"علی\u200cرضا محمدی": "علی\u200cرضا محمدی", "ශ්\u200dරී ලංකා": "ශ්\u200dරී ලංකා", "P\u200ca\u200dt": "Pat", "\u200dPat\u200c": "Pat",
	} {
		v := sample()
		v.RecipientName, v.Reason = sent, "so that "+sent
		mail, err := r.Email(v)
		if err != nil {
			t.Fatal(err)
		}
		if text := mail.Text.Reveal(); !strings.Contains(text, "so that "+want) || strings.Count(text, want) < 2 {
			t.Errorf("%+q is not in the message:\n%s", want, text)
		}
	}
}
