package compose

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/templates"
)

func newComposer(t *testing.T) *Composer {
	t.Helper()
	texts, err := message.NewRenderer(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Params{PublicURL: "https://go.acme.example", Messages: func(invite.Place) *message.Renderer { return texts }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// full is a message that says all that one can.
func full(kind string) Message {
	now := time.Date(2026, 11, 23, 13, 40, 12, 0, time.UTC)
	return Message{
		Invite: Invite{
			Project: config.Project{
				ID: "default", Pipedream: config.Pipedream{LinkHosts: []string{"connect.acme.example"}},
				Brand: config.Brand{Name: "Acme", SupportEmail: "help@acme.example", LegalLine: "Acme Inc.", PrivacyURL: "https://acme.example/privacy", Colour: "#123456", LogoURL: "https://acme.example/logo.png"},
			},
			App: invite.App{Name: "Google Search Console"}, InitiatedBy: invite.ByUser, IsReconnect: true,
			Content: invite.Content{
				Recipient: invite.Recipient{Email: "pat@customer.example", Phone: "+12025550100", Name: "Pat", Locale: "de", TimeZone: "Europe/Berlin"},
				Inviter:   "Sam Rivera", Reason: "to post results", Note: "Hello",
			},
			Code: secret.New(PreviewCode), ExpiresAt: now.Add(4 * time.Hour), Now: now, Reference: PreviewReference,
		},
		Kind: kind, Passcode: secret.New("012345"), OneWay: true,
	}
}

// A variable that a template uses and nothing fills is missed by every recipient.
func TestEveryVariableIsFilled(t *testing.T) {
	t.Parallel()
	c := newComposer(t)
	filled := map[string]bool{"AppShort": true} // package message makes it from AppName
	for _, kind := range []string{invite.KindFirst, invite.KindPasscode} {
		v, err := c.vars(full(kind))
		if err != nil {
			t.Fatal(err)
		}
		for i := range reflect.TypeFor[message.Vars]().NumField() {
			field := reflect.TypeFor[message.Vars]().Field(i).Name
			filled[field] = filled[field] || !reflect.ValueOf(v).Field(i).IsZero()
		}
	}
	for field, ok := range filled {
		if !ok {
			t.Errorf("nothing fills message.Vars.%s", field)
		}
	}
}

// What Inspect shows is what Compose sends, for each kind, channel and language.
func TestInspectShowsTheComposedMessage(t *testing.T) {
	t.Parallel()
	c := newComposer(t)
	for _, kind := range []string{invite.KindFirst, invite.KindReminder, invite.KindResend, invite.KindPasscode} {
		for _, lang := range c.Messages(invite.Place{Project: "default"}).Languages() {
			for _, link := range []invite.LinkType{invite.InviteLink, invite.ConnectLink} {
				m := full(kind)
				m.Content.Recipient.Locale, m.LinkType, m.ConnectLink = lang, link, PreviewLink(pipedream.Completion{App: "google_search_console"})
				seen, err := c.Inspect(m)
				if err != nil {
					t.Fatal(err)
				}
				mail, err := c.Compose(m, invite.Email)
				if err != nil {
					t.Fatal(err)
				}
				text, err := c.Compose(m, invite.SMS)
				if err != nil {
					t.Fatal(err)
				}
				carried, err := c.Carried(m)
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%s in %s with link %s", kind, lang, link)
				got := [...]string{mail.Email.Subject, mail.Email.Text.Reveal(), mail.Email.HTML.Reveal(), text.SMS.Body.Reveal()}
				want := [...]string{seen.Email.Subject, seen.Email.Text.Reveal(), seen.Email.HTML.Reveal(), seen.SMS.Body.Reveal()}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s differs (- preview, + message):\n%s", name, diff)
				}
				if !strings.Contains(got[1], carried.Reveal()) || !strings.Contains(got[3], carried.Reveal()) {
					t.Errorf("%s does not hold what it carries", name)
				}
			}
		}
	}
}

// Messages name the host at which people connect, as the page does.
func TestMessagesNameTheProjectsHost(t *testing.T) {
	t.Parallel()
	out, err := newComposer(t).Compose(full(invite.KindFirst), invite.Email)
	if err != nil {
		t.Fatal(err)
	}
	if text := out.Email.Text.Reveal(); !strings.Contains(text, "connect.acme.example") || strings.Contains(text, "pipedream.com") {
		t.Errorf("names another host:\n%s", text)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	c := newComposer(t)
	for want, spoil := range map[string]func(*Message){
		"the code is gone":                              func(m *Message) { m.Code = secret.Text{} },
		"the connect link is gone":                      func(m *Message) { m.LinkType = invite.ConnectLink },
		"the passcode is gone":                          func(m *Message) { m.Kind, m.Passcode = invite.KindPasscode, secret.Text{} },
		"the recipient has no address for this channel": func(m *Message) { m.Content.Recipient.Email = "" },
	} {
		m := full(invite.KindFirst)
		spoil(&m)
		if _, err := c.Compose(m, invite.Email); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPreviewLinksAreAsLongAsRealOnes(t *testing.T) {
	t.Parallel()
	if got, want := len(PreviewCode), len(access.NewCode().Reveal()); got != want {
		t.Errorf("a preview's code has %d characters, a code %d", got, want)
	}
	if access.ValidCode(PreviewCode) {
		t.Error("a preview's code could be one")
	}
	if got := Hide("https://go.acme.example/c/"+PreviewCode+" "+PreviewLink(pipedream.Completion{App: "slack"}).Reveal(), "****"); strings.Contains(got, PreviewCode) || strings.Contains(got, "ctok") {
		t.Errorf("hidden: %s", got)
	}
}

// The page that asks for a code and the one that leads out of an app's browser stand
// before that of a link that works, and offer what it offers.
func TestPreviewedPagesOfALinkThatWorksOfferTheReport(t *testing.T) {
	t.Parallel()
	pages, err := page.New(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	c := newComposer(t)
	c.p.Pages = func(string) *page.Pages { return pages }
	for _, state := range []page.State{page.Ready, page.Verify, page.InApp, page.Connected} {
		one, err := c.PreviewPage(Page{Invite: full(invite.KindFirst).Invite, Via: invite.Email, AsksCode: true}, string(state), "en")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Contains(one.HTML, "This isn’t for me"), state != page.Connected; got != want {
			t.Errorf("%s: the report is offered: %t, want %t", state, got, want)
		}
	}
}
