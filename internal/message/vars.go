package message

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/connectlink/connectlink/internal/secret"
)

// Kind is which message of an invite this is.
type Kind string

const (
	First  Kind = "first"
	Resend Kind = "resend"
	// Reminder is of a message that found no reader yet.
	Reminder Kind = "reminder"
	// Passcode carries six digits and no link: what a page asks for before it
	// leads on.
	Passcode Kind = "passcode"
)

// LinkType is what the link in a message is.
type LinkType string

const (
	// LinkInvite is our own address, which hands out connect links.
	LinkInvite LinkType = "invite"
	// LinkConnect is Pipedream's address itself.
	LinkConnect LinkType = "connect"
)

// Initiator is the party that started the connection.
type Initiator string

const (
	ByProduct Initiator = "product"
	ByUser    Initiator = "user"
)

// Vars is everything a message may say. Brand, AppName, URL (for a passcode:
// Passcode), ExpiresAt and Now are required. It holds personal data and the link, so it prints as redacted.
type Vars struct {
	Brand    string
	AppName  string
	AppShort string // ShortApp(AppName) when empty

	Inviter       string // empty: the product itself asks
	Reason        string
	Note          string // a person's words to the recipient
	RecipientName string

	Passcode secret.Text // six digits
	PageHost string      // where the passcode is entered; phones offer it there by themselves
	URL      secret.Text
	// StopURL is a page that ends text messages, for a sender that cannot
	// receive replies; empty: the reply STOP does.
	StopURL   secret.Text
	LinkType  LinkType // LinkInvite when empty
	Kind      Kind     // First when empty
	Initiator Initiator
	// IsReconnect: the account was connected before and is to be connected again.
	IsReconnect bool

	ExpiresAt time.Time
	Now       time.Time
	// Zone is used, and its place named, only when it is the recipient's own.
	Zone             *time.Location
	ZoneIsRecipients bool
	Locale           string // BCP 47; empty is English
	RecipientEmail   secret.Text
	SupportEmail     string
	Reference        string // what support can search for; empty leaves the line out
	LegalLine        string
	PrivacyURL       string // https only
	Colour           string // #rrggbb
	LogoURL          string // https only; empty: the brand's name in type
	CanRenew         bool   // the link's page offers a new link after the end
	CanReport        bool   // the link's page offers "This isn't for me"
	ConnectHost      string // where connecting happens; "pipedream.com" when empty
}

// Format keeps the link and personal data out of logs and errors.
func (Vars) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "message.Vars["+secret.Redacted+"]")
}

// LogValue implements slog.LogValuer.
func (Vars) LogValue() slog.Value { return slog.StringValue(secret.Redacted) }

// content is what templates see: clean, and with times already in words.
type content struct {
	Lang, Dir, Start            string
	Subject                     string
	Brand, App, AppShort        string
	Inviter, Reason, Note, Name string
	Email, URL, StopURL         string
	Passcode, PageHost          string
	Resend, Reminder, Reconnect bool
	ByUser, Direct              bool
	CanRenew, CanReport         bool
	Until, Duration             string
	Clock                       string // when it ends, where that is within a day
	SupportEmail, LegalLine     string
	Reference                   string
	PrivacyURL, LogoURL         string
	ConnectHost, Initial        string

	Accent, OnAccent, AccentDark, OnAccentDark, LinkColour template.CSS
}

// newContent checks v. Its errors name fields, never values.
func newContent(v Vars, l *Language) (content, error) {
	stop := v.StopURL.Reveal()
	if err := checkCarried(v); err != nil {
		return content{}, err
	}
	if stop != "" && !plainAddress(stop) {
		return content{}, errors.New("the address for stopping must be an http or https address in plain ASCII")
	}
	if v.ExpiresAt.IsZero() || v.Now.IsZero() || !v.ExpiresAt.After(v.Now) {
		return content{}, errors.New("a message needs an expiry that is still to come")
	}
	p := NewPalette(v.Colour)
	c := content{
		Lang: l.Tag, Dir: l.Dir, Start: "left",
		Brand: cleanLine(v.Brand, maxName), App: cleanLine(v.AppName, maxName), AppShort: cleanLine(v.AppShort, maxName),
		Inviter: cleanTyped(v.Inviter, maxName), Name: cleanTyped(v.RecipientName, maxName),
		Reason: cleanTyped(v.Reason, maxReason), Note: cleanTyped(v.Note, maxNote),
		Email: cleanLine(v.RecipientEmail.Reveal(), 320), StopURL: stop,
		Resend: v.Kind == Resend, Reminder: v.Kind == Reminder, Reconnect: v.IsReconnect, ByUser: v.Initiator == ByUser, Direct: v.LinkType == LinkConnect,
		CanRenew: v.CanRenew && v.LinkType != LinkConnect, CanReport: v.CanReport && v.LinkType != LinkConnect,
		Until: l.Moment(v.ExpiresAt, v.Zone, v.ZoneIsRecipients), Duration: l.Duration(v.ExpiresAt.Sub(v.Now)),
		SupportEmail: cleanLine(v.SupportEmail, 320), Reference: cleanLine(v.Reference, maxName), LegalLine: cleanLine(v.LegalLine, maxLegal),
		PrivacyURL: httpsOnly(v.PrivacyURL), LogoURL: httpsOnly(v.LogoURL),
		ConnectHost: cleanLine(v.ConnectHost, 253),
		AccentDark:  template.CSS(p.AccentDark), OnAccentDark: template.CSS(p.OnAccentDark), //nolint:gosec // made by NewPalette
		Accent: template.CSS(p.Accent), OnAccent: template.CSS(p.OnAccent), LinkColour: template.CSS(p.Link), //nolint:gosec // made by NewPalette
	}
	if v.Kind != Passcode {
		c.URL = v.URL.Reveal()
	} else if c.Passcode = v.Passcode.Reveal(); publicHost.MatchString(v.PageHost) {
		c.PageHost = v.PageHost
	}
	if v.ExpiresAt.Sub(v.Now) < 24*time.Hour {
		c.Clock = l.Clock(v.ExpiresAt, v.Zone, v.ZoneIsRecipients)
	}
	if l.Dir == "rtl" {
		c.Start = "right"
	}
	if c.Brand == "" || c.App == "" {
		return content{}, errors.New("a message needs a brand and an app")
	}
	if c.AppShort == "" {
		c.AppShort = ShortApp(c.App)
	}
	if c.ConnectHost == "" {
		c.ConnectHost = "pipedream.com"
	}
	c.Initial = Initial(c.Brand)
	return c, nil
}

// plainAddress reports whether s can stand in any message as it is.
func plainAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"<>\^{|}`+"`'", r) })
}

// checkCarried checks what a message is there for: a link, or a passcode.
func checkCarried(v Vars) error {
	if v.Kind == Passcode {
		if !sixDigits.MatchString(v.Passcode.Reveal()) {
			return errors.New("a passcode has six digits")
		}
		return nil
	}
	if !plainAddress(v.URL.Reveal()) {
		return errors.New("the link of a message must be an http or https address in plain ASCII")
	}
	return nil
}

var (
	sixDigits = regexp.MustCompile(`^[0-9]{6}$`)
	// What phones take for the host of a page that waits for a code.
	publicHost = regexp.MustCompile(`^[a-z0-9-]+(?:\.[a-z0-9-]+)+$`)
)

// httpsOnly passes an https address and drops everything else.
func httpsOnly(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return ""
	}
	return s
}

// Initial is the letter that stands for a name where no logo does.
func Initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "•"
}

// ShortApp shortens an app's catalogue name for places where length counts:
// "Salesforce (REST API)" is Salesforce, "Google Search Console" is Search
// Console. Two words stay as they are: "Google Drive" is its name.
func ShortApp(name string) string {
	if i := strings.Index(name, " ("); i > 0 {
		name = name[:i]
	}
	for _, vendor := range []string{"Google ", "Microsoft ", "Amazon ", "Adobe ", "Zoho "} {
		rest, ok := strings.CutPrefix(name, vendor)
		if ok && strings.Contains(rest, " ") {
			return rest
		}
	}
	return name
}
