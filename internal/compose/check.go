package compose

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

// Trial is what callers and people put into a message, for trying texts.
type Trial struct{ App, Person, Words string }

// UsualTrial has values as most messages have.
func UsualTrial() Trial { return Trial{"Slack", "Sam Rivera", "to post your build results"} }

// Trials are the values that texts are tried with: usual, long and hostile.
func Trials() map[string]Trial {
	return map[string]Trial{
		"usual":   UsualTrial(),
		"long":    {"Microsoft Outlook Calendar (Legacy)", "Alexandra Montgomery-Whitfield", strings.Repeat("very long words ", 20)},
		"hostile": {`<b>App</b>`, "\u202eSam\r\nBcc: x@example.org", `"><script src=https://evil.example/x.js></script> {{.URL}} https://evil.example/login`},
	}
}

// TryMessage returns the first message of an invite in a language, with values of a trial.
// Its link opens nothing.
func (c *Composer) TryMessage(p config.Project, lang string, t Trial) Message {
	now := time.Date(2026, 11, 23, 13, 40, 12, 0, time.UTC)
	m := Message{
		Invite: Invite{
			Project: p, App: invite.App{Name: t.App}, InitiatedBy: invite.ByProduct,
			Content: invite.Content{
				Recipient: invite.Recipient{Email: "recipient@example.com", Name: t.Person, Locale: lang}, Inviter: t.Person, Reason: t.Words, Note: t.Words,
			},
			Code: secret.New(PreviewCode), Reference: PreviewReference, ExpiresAt: now.Add(4 * time.Hour), Now: now,
		},
		Kind: invite.KindFirst,
	}
	if c.p.PublicURL == "" { // people cannot reach us: messages lead to Pipedream
		m.LinkType, m.ConnectLink = invite.ConnectLink, PreviewLink(pipedream.Completion{App: "slack"})
	}
	return m
}

// maxHTML is the size of a mail above which some programs cut it off.
const maxHTML = 20_000

// Check returns the faults of a rendered message: what it must hold and lacks, and what it
// holds and must not.
func (c *Composer) Check(m Message, seen message.Inspection) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	carried, err := c.Carried(m)
	if err != nil {
		return []string{err.Error()}
	}
	link, stop := carried.Reveal(), c.stopURL(m).Reveal()
	sms, html, text := seen.SMS.Body.Reveal(), seen.Email.HTML.Reveal(), seen.Email.Text.Reveal()
	if strings.Count(sms, link) != 1 {
		fault("the text message holds the link %d times, not once", strings.Count(sms, link))
	}
	if says := strings.Contains(sms, "STOP"); m.OneWay && stop != "" && !strings.Contains(sms, stop) || (!m.OneWay || stop == "") && !says {
		fault("the text message does not say how to stop (sms/stop.txt)")
	}
	if !strings.Contains(html, strings.ReplaceAll(link, "&", "&amp;")) || !strings.Contains(text, link) {
		fault("a part of the mail lacks the link")
	}
	if n := len(html); n > maxHTML {
		fault("the mail's HTML has %d bytes; above 20,000 some programs cut it off", n)
	}
	for _, host := range c.ForeignHosts(m.Project, strings.NewReplacer(link, "", strings.ReplaceAll(link, "&", "&amp;"), "").Replace(html+text)) {
		fault("the mail names %s, which is neither this service's nor the project's", host)
	}
	return faults
}

var written = regexp.MustCompile(`(?i)https?://([^/\s"'<>]+)`)

// ForeignHosts lists the hosts of addresses in a text that are neither ours nor the
// project's: of a picture that counts readers, or a link that leads elsewhere.
func (c *Composer) ForeignHosts(p config.Project, src string) (out []string) {
	allowed := []string{"www.w3.org"}
	for _, own := range []string{c.p.PublicURL, p.Brand.LogoURL, p.Brand.PrivacyURL} {
		if u, err := url.Parse(own); err == nil && u.Host != "" {
			allowed = append(allowed, u.Host)
		}
	}
	for _, m := range written.FindAllStringSubmatch(src, -1) {
		if !slices.Contains(allowed, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}
