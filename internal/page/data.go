package page

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

// Data is what a page may show. Each state uses what it needs; a zero field
// leaves its sentence out. It holds the code and personal data, so it prints as
// redacted.
type Data struct {
	// The product.
	Brand        string // may be empty on Unknown and TooMany
	Colour       string // #rrggbb
	LogoURL      string // https only
	SupportEmail string
	LegalLine    string
	PrivacyURL   string // https only
	TestMode     bool   // shows the striped TEST bar

	// The invite.
	App             App
	Inviter         string
	Reason          string
	Note            string // a person's words to the recipient
	InitiatedBy     message.Initiator
	Reconnect       bool   // the account was connected before
	RecipientMasked string // "p••@c•••.example"
	ExpiresAt       time.Time
	Now             time.Time
	// Zone is used, and its place named, only when it is the recipient's own.
	Zone             *time.Location
	ZoneIsRecipients bool
	ConnectHost      string // "pipedream.com" when empty
	Reference        string // what support can search for

	// CodePath is "/c/{code}": the button posts there, the beacon to
	// CodePath + "/seen".
	CodePath string
	// Chosen is the language that the reader chose; links of the page keep it.
	// Empty without a choice.
	Chosen string
	// Query is what this page's own address has to keep when the language is
	// changed, such as "stay=1".
	Query string
	// Nonce allows this page's style and script; the same goes to CSP.
	Nonce string

	// Outcomes.
	AccountName string // Connected: only for the first minutes, on /done
	ReturnURL   string // checked against the project's list by the caller
	// ReturnsToApp: ReturnURL opens an app, which a browser does reliably only when
	// the person presses, and not at all where the app is not installed.
	ReturnsToApp bool
	Missing      int    // Unknown: how many letters the code lacks
	ReturnAfter  int    // Connected: seconds until the page goes there; 0 = only by the button
	Failure      string // CouldNotConnect: "cancelled", "denied", else an error
	FailedBefore bool   // Ready: Failure is of a try before this new link
	CanRetry     bool   // CouldNotConnect: the link still hands out links
	Persistent   bool   // Busy: it failed several times, so offer a person
	RetryIn      int    // Busy: seconds until the page's script presses again; 0 = not by itself
	Try          int    // Busy: the number of that try
	ReplacedAt   time.Time
	RefreshIn    int  // Finishing: seconds until the page asks again; 0 = not by itself
	Waited       bool // Finishing: longer than usual

	// A new link by the recipient's own tap.
	CanRenew     bool
	RenewPath    string // CodePath + "/renew" when empty
	RenewChannel string // "email" or "sms"; on Sent: by which it comes
	// CanReport offers "This isn't for me".
	CanReport   bool
	ReportPath  string // CodePath + "/not-me" when empty
	Unchosen    bool   // NotMe: sent without a reason
	Words       string // NotMe: the text of the earlier submission
	CanSuppress bool   // NotMe: the address can be kept from more messages

	// CanUndo: Thanks offers to take the report back.
	CanUndo bool

	// StopPath takes the form that ends text messages; CanResume offers, once
	// they have ended, to allow them again.
	StopPath  string
	CanResume bool

	// VerifyBy is the channel by which a passcode comes that is asked for before
	// the link leads on; empty where none is.
	VerifyBy string
	Verify   Verification
	// Held asks for one more press: the one before looked like a robot's.
	Held bool
	// PageURL is this page's whole address, for another browser or device; it
	// holds the code. Empty leaves out what needs it.
	PageURL string
	InApp   InAppBrowser
	// Stay: the person chose to stay in the in-app browser.
	Stay bool
}

// Verification is what the page Verify says of the passcode it asks for.
type Verification struct {
	Said        string // of the digits just entered: "", "wrong", "malformed", "too_often", "too_late"
	Left        int    // tries
	Ended       bool   // only another one helps
	Undelivered bool
	CanSend     bool
	Wait        time.Duration // until another can be asked for
	Lasts       time.Duration
}

// InAppBrowser is what the page InApp is shown in.
type InAppBrowser struct {
	Name         string // "Instagram"; empty when it is not known
	Android, IOS bool
	Refused      bool // the app to connect is known to refuse sign-in there
}

// App is the app to connect.
type App struct {
	Name     string
	LogoURL  string // a path on this host, "/logos/…"; other addresses are left out
	AuthType string // "oauth" or "keys"
}

// Format keeps the code and personal data out of logs and errors.
func (Data) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "page.Data["+secret.Redacted+"]") }

// shown is what templates see: Data with times in words and values checked.
type shown struct {
	Data
	State                    State
	MaskedParts              []string // of RecipientMasked; empty for hidden letters
	Lang, Dir                string
	Languages                []offer // to change to; none where there is only one
	CodePath                 string  // hides Data.CodePath
	ByUser                   bool
	BrandInitial             string
	AppInitial               string
	Until, UntilISO          string
	ExpiresIn                string
	ReplacedAt               string // hides Data.ReplacedAt
	ReplacedISO              string
	SeenPath                 string
	Refresh                  string
	ReturnURL                template.URL // hides Data.ReturnURL
	Accent, OnAccent         template.CSS
	AccentDark, OnAccentDark template.CSS
	CSS                      template.CSS
	Script                   template.JS
	ConnectHost              string
	LogoURL                  string
	PrivacyURL               string
	RenewPath                string
	ReportPath, UndoPath     string
	StopPath                 string // hides Data.StopPath
	VerifyPath, AnotherPath  string
	VerifyLasts, VerifyWait  string // in words
	VerifyWaitSeconds        int
	StayPath                 string       // the ready page, in any browser
	InsidePath               string       // the page for an app that only scripts can tell; its name is added
	OpenURL                  template.URL // opens PageURL in Android's browser
	QR                       QR           // of PageURL; empty where there is none
}

// offer is a language that a page can be changed to.
type offer struct {
	Tag, Dir, Name string
	Path           string
	Current        bool
}

// offers lists the languages with pages of their own. The address is a query
// alone, so that it means the page it stands on.
func (p *Pages) offers(l *message.Language, d Data) []offer {
	var out []offer
	for _, tag := range p.langs.Tags() {
		o := p.langs.Match(tag)
		if !o.Owns("pages") {
			continue
		}
		q := "?lang=" + url.QueryEscape(o.Tag)
		if d.Query != "" {
			q = "?" + d.Query + "&lang=" + url.QueryEscape(o.Tag)
		}
		out = append(out, offer{
			Tag: o.Tag, Dir: o.Dir, Name: o.Name, Path: q, Current: o.Tag == l.Tag || !l.Owns("pages") && o.Tag == l.Parent(),
		})
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

// withLanguage adds the chosen language to one of our own addresses.
func withLanguage(path, chosen string) string {
	if chosen == "" || path == "" {
		return path
	}
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return path + sep + "lang=" + url.QueryEscape(chosen)
}

func (p *Pages) shown(s State, l *message.Language, d Data) shown {
	palette := message.NewPalette(d.Colour)
	d.App.LogoURL, d.PageURL = ownPath(d.App.LogoURL), webAddress(d.PageURL)
	v := shown{
		Data: d, State: s, Lang: l.Tag, Dir: l.Dir,
		ByUser:       d.InitiatedBy == message.ByUser,
		BrandInitial: message.Initial(d.Brand), AppInitial: message.Initial(d.App.Name),
		Accent: template.CSS(palette.Accent), OnAccent: template.CSS(palette.OnAccent), //nolint:gosec // made by NewPalette
		AccentDark: template.CSS(palette.AccentDark), OnAccentDark: template.CSS(palette.OnAccentDark), //nolint:gosec // as above
		CSS: p.css, Script: p.script,
		ConnectHost: or(d.ConnectHost, "pipedream.com"),
		LogoURL:     httpsOnly(d.LogoURL), PrivacyURL: httpsOnly(d.PrivacyURL),
		Languages: p.offers(l, d), CodePath: withLanguage(d.CodePath, d.Chosen),
		RenewPath: withLanguage(or(d.RenewPath, d.CodePath+"/renew"), d.Chosen), ReportPath: withLanguage(or(d.ReportPath, d.CodePath+"/not-me"), d.Chosen),
		UndoPath:  withLanguage(or(d.ReportPath, d.CodePath+"/not-me")+"/undo", d.Chosen),
		ReturnURL: returnURL(d.ReturnURL),
	}
	v.MaskedParts = maskedParts(d.RecipientMasked)
	if d.Nonce == "" {
		v.Script = "" // it would be refused anyway
	}
	if !d.ExpiresAt.IsZero() {
		v.Until = l.Moment(d.ExpiresAt, d.Zone, d.ZoneIsRecipients)
		v.UntilISO = d.ExpiresAt.UTC().Format(time.RFC3339)
		if left := d.ExpiresAt.Sub(d.Now); !d.Now.IsZero() && left > 0 {
			v.ExpiresIn = l.Duration(left)
		}
	}
	if !d.ReplacedAt.IsZero() {
		v.ReplacedAt = l.Moment(d.ReplacedAt, d.Zone, d.ZoneIsRecipients)
		v.ReplacedISO = d.ReplacedAt.UTC().Format(time.RFC3339)
	}
	v.StopPath = withLanguage(d.StopPath, d.Chosen)
	if d.Verify.Lasts > 0 {
		v.VerifyLasts = l.Duration(d.Verify.Lasts)
	}
	if d.Verify.Wait > 0 {
		v.VerifyWait, v.VerifyWaitSeconds = l.Duration(d.Verify.Wait), int(math.Ceil(d.Verify.Wait.Seconds()))
	}
	v.VerifyPath, v.AnotherPath = withLanguage(d.CodePath+"/verify", d.Chosen), withLanguage(d.CodePath+"/verify/again", d.Chosen)
	v.StayPath = withLanguage(d.CodePath+"?stay=1", d.Chosen)
	if s == InApp && d.InApp.Android {
		v.OpenURL = intentURL(d.PageURL)
	}
	if s == Ready {
		v.QR = NewQR(d.PageURL)
	}
	switch {
	case (s == Ready || s == InApp) && d.CodePath != "":
		if s == Ready && !d.Stay {
			v.InsidePath = d.CodePath + "?inside="
			if d.Chosen != "" {
				v.InsidePath = v.CodePath + "&inside="
			}
		}
		// Only here does looking mean anything.
		v.SeenPath = d.CodePath + "/seen"
	case s == Finishing && d.RefreshIn > 0:
		v.Refresh = fmt.Sprint(d.RefreshIn)
	case s == Connected && d.ReturnAfter > 0 && v.ReturnURL != "":
		v.Refresh = fmt.Sprintf("%d;url=%s", d.ReturnAfter, v.ReturnURL)
	}
	return v
}

// CSP is the policy for a page rendered with the same nonce and data.
//
// There is no form-action: browsers apply it to the redirect after the POST
// too, and that leads to the connect link's host. img-src names the logos'
// exact addresses, connect-src allows the beacon.
func (p *Pages) CSP(nonce string, d Data) string {
	images := "'none'"
	var sources []string
	if src := imageSource(httpsOnly(d.LogoURL)); src != "" {
		sources = append(sources, src)
	}
	if ownPath(d.App.LogoURL) != "" {
		sources = append(sources, "'self'")
	}
	if len(sources) > 0 {
		images = strings.Join(sources, " ")
	}
	return "default-src 'none'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce +
		"'; connect-src 'self'; img-src " + images + "; base-uri 'none'; frame-ancestors 'none'"
}

// imageSource writes an address as a source expression. A path with characters
// that would end the expression or the directive gives its origin alone.
func imageSource(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" || strings.ContainsAny(u.Host, " ;,'\"") {
		return ""
	}
	src := "https://" + u.Host
	if path := u.EscapedPath(); !strings.ContainsAny(path, " ;,'\"") {
		src += path
	}
	return src
}

func httpsOnly(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// maskedParts are what a masked address shows, and an empty part for each run of hidden
// letters.
func maskedParts(masked string) []string {
	var parts []string
	for i, shown := range hiddenRun.Split(masked, -1) {
		if i > 0 {
			parts = append(parts, "")
		}
		if shown != "" {
			parts = append(parts, shown)
		}
	}
	return parts
}

var hiddenRun = regexp.MustCompile("[•\u00a0 ]*•[•\u00a0 ]*")

// ownPath passes a picture's path on this host.
func ownPath(s string) string {
	if !logoPath.MatchString(s) {
		return ""
	}
	return s
}

var logoPath = regexp.MustCompile(`^/logos/[0-9a-f]{32}\.(png|svg)$`)

// returnURL passes https and an app's own scheme, and nothing a browser would
// run or open locally. The project's list was checked before.
func returnURL(s string) template.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return ""
	}
	switch u.Scheme {
	case "javascript", "data", "vbscript", "blob", "file", "about", "filesystem", "view-source":
		return ""
	}
	return template.URL(u.String()) //nolint:gosec // scheme checked above
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fullData sets every field, for the rehearsal at start.
func fullData() Data {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return Data{
		Brand: "Brand", Colour: "#123456", LogoURL: "https://example.com/l.png", SupportEmail: "help@example.com",
		LegalLine: "Legal", PrivacyURL: "https://example.com/p", TestMode: true,
		App:     App{Name: "App", LogoURL: "/logos/0123456789abcdef0123456789abcdef.png", AuthType: "keys"},
		Inviter: "Inviter", Reason: "reason", Note: "note", RecipientMasked: "p••@e••.com", Reconnect: true,
		ExpiresAt: now.Add(time.Hour), Now: now, Reference: "REF", CodePath: "/c/code", Chosen: "en", Query: "stay=1", Nonce: "nonce",
		AccountName: "Account", ReturnURL: "https://example.com/back", ReturnAfter: 3, ReturnsToApp: true, Missing: 1, Failure: "denied", FailedBefore: true,
		CanRetry: true, Persistent: true, RetryIn: 10, Try: 1, ReplacedAt: now, RefreshIn: 2, Waited: true,
		CanRenew: true, RenewChannel: "sms", CanReport: true, CanUndo: true, Unchosen: true, Words: "words", CanSuppress: true,
		StopPath: "/s/code", CanResume: true,
		VerifyBy: "sms", Verify: Verification{Said: "wrong", Left: 3, Ended: true, Undelivered: true, CanSend: true, Wait: time.Minute, Lasts: time.Minute},
		Held: true, PageURL: "https://example.com/c/code", InApp: InAppBrowser{Name: "Instagram", Android: true, Refused: true},
	}
}
