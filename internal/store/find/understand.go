package find

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// By says as what a text that was searched for was understood.
type By string

// What a text can be understood as.
const (
	ByInvite      By = "invite"       // "inv_…"
	ByReference   By = "reference"    // "7KQ4-XM2P"
	ByDelivery    By = "delivery"     // "dlv_…"
	ByRequest     By = "request"      // "req_…"
	ByLink        By = "link"         // the code of an invite link, or the whole link
	ByConnectLink By = "connect_link" // Pipedream's URL, or the token in it
	ByMessage     By = "message"      // a provider's id of a message
	ByEmail       By = "email"
	ByPhone       By = "phone"
	ByUser        By = "user"    // the product's external user id
	ByAccount     By = "account" // "apn_…"
	ByName        By = "name"
	ByDomain      By = "domain"
	ByLast4       By = "last4" // the last four digits of a number
)

// maxSearch bounds how much of a pasted text is read, in bytes.
const maxSearch = 4 << 10

// meaning is everything a text may be. A text is often several things: an
// external user id can look like an email address.
type meaning struct {
	invites    []invite.ID
	reference  *invite.Reference // nil: it is none
	deliveries []invite.DeliveryID
	requests   []invite.RequestID
	attempts   []invite.AttemptID
	codes      []secret.Text
	tokens     []secret.Text
	messages   []string
	user       string
	accounts   []string
	emails     []string
	phone      string
	domain     string
	last4      string
	name       []string // words
}

var (
	ids       = regexp.MustCompile(`(?i)\b(inv|dlv|req|att)_[0-9a-v]{26}\b`)
	codePath  = regexp.MustCompile(`/(?:c|done)/([0-9A-Za-z]{20}(?:[0-9A-Za-z]{2})?)(?:$|[^0-9A-Za-z])`)
	tokens    = regexp.MustCompile(`\bctok_[0-9A-Za-z_-]+`)
	accounts  = regexp.MustCompile(`\bapn_[0-9A-Za-z]+`)
	addresses = regexp.MustCompile(`[^\s<>()"',;:@]+@[^\s<>()"',;:@]+`)
)

// understand parses a typed or pasted search. It never fails: at worst the
// text has no meaning.
func understand(text, region string) meaning {
	text = legible(text)
	var m meaning
	if text == "" {
		return m
	}
	m.idsIn(text)
	m.linksIn(text)
	bare := unwrapped(text)
	if r, err := invite.ParseReference(bare); err == nil {
		m.reference = &r
	}
	m.accounts = append(m.accounts, accounts.FindAllString(text, 3)...)
	m.emails = emailsIn(bare)
	m.phone, _ = contact.SearchPhone(bare, region)
	if digits := strings.TrimLeft(bare, "….*x•- "); len(digits) == 4 && strings.Trim(digits, "0123456789") == "" {
		m.last4 = digits
	}
	if len(m.emails) == 0 {
		m.domain = domainIn(bare)
	}
	if utf8.RuneCountInString(text) <= maxUserID {
		m.user = text
	}
	m.messages = messageIDs(bare)
	known := len(m.emails) + len(m.phone) + len(m.domain) + len(m.invites) + len(m.deliveries) + len(m.requests) + len(m.codes) + len(m.tokens) + len(m.attempts)
	if known == 0 && strings.ContainsFunc(bare, unicode.IsLetter) {
		m.name = contact.NameWords(bare)
	}
	return m
}

// IsName reports whether a text holds a name that only one invite of all projects has: an id, a
// link or its code, a reference.
func IsName(text string) bool {
	m := understand(text, "")
	return len(m.invites)+len(m.deliveries)+len(m.codes)+len(m.tokens) > 0 || m.reference != nil
}

// maxUserID is how long an external user id may be, in characters.
const maxUserID = 250

// legible drops invisible characters: direction marks and zero-width
// characters are copied along from pages.
func legible(text string) string {
	if len(text) > maxSearch {
		text = text[:maxSearch]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Zs, r):
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}

// unwrapped takes off what stands around a value in mail programs, tickets and code.
func unwrapped(text string) string {
	text = strings.Trim(text, " \"'`<>()[]{},;„“”‘’«»")
	for _, scheme := range []string{"mailto:", "MAILTO:", "tel:", "sms:"} {
		text = strings.TrimPrefix(text, scheme)
	}
	if head, _, ok := strings.Cut(text, "?"); ok && strings.Contains(head, "@") {
		text = head // mailto:pat@customer.example?subject=…
	}
	return text
}

func (m *meaning) idsIn(text string) {
	for _, word := range ids.FindAllString(text, 5) {
		word = strings.ToLower(word)
		if id, err := invite.Parse[invite.ID](word); err == nil {
			m.invites = append(m.invites, id)
		}
		if id, err := invite.Parse[invite.DeliveryID](word); err == nil {
			m.deliveries = append(m.deliveries, id)
		}
		if id, err := invite.Parse[invite.RequestID](word); err == nil {
			m.requests = append(m.requests, id)
		}
		if id, err := invite.Parse[invite.AttemptID](word); err == nil {
			m.attempts = append(m.attempts, id)
		}
	}
}

func (m *meaning) linksIn(text string) {
	if access.ValidCode(text) {
		m.codes = append(m.codes, secret.New(text))
	}
	for _, found := range codePath.FindAllStringSubmatch(text, 3) {
		m.codes = append(m.codes, secret.New(found[1]))
	}
	for _, t := range tokens.FindAllString(text, 3) {
		m.tokens = append(m.tokens, secret.New(t))
	}
	if u, err := url.Parse(text); err == nil && u.Scheme != "" {
		if t := u.Query().Get("token"); t != "" && !tokens.MatchString(t) {
			m.tokens = append(m.tokens, secret.New(t))
		}
	}
}

// emailsIn finds the addresses of a text such as "Pat Doe <pat@customer.example>".
func emailsIn(text string) []string {
	var out []string
	for _, found := range addresses.FindAllString(text, 3) {
		if email, err := contact.ParseEmail(strings.Trim(found, ".")); err == nil {
			out = append(out, contact.SearchEmail(email))
		}
	}
	return out
}

// domainIn reads "@customer.example", "customer.example" or an address with
// an impossible local part.
func domainIn(text string) string {
	_, after, at := strings.Cut(text, "@")
	if !at {
		after = text
	}
	if strings.ContainsAny(after, " /") {
		return ""
	}
	email, err := contact.ParseEmail("x@" + after)
	if err != nil {
		return ""
	}
	_, domain := contact.EmailParts(email)
	return domain
}

// twilioID is the form of Twilio's message ids, among whose digits any number can stand.
var twilioID = regexp.MustCompile(`^(?i:SM|MM)[0-9a-fA-F]{32}$`)

// messageIDs are the forms in which providers write the id of one message:
// SendGrid's events add a suffix behind a dot to what its API answered. They are
// sent to Postgres as they are, so a text that may hold an address or a number
// gives none. The Message-ID of SMTP, which holds an @, is found by the attempt's
// id in it.
func messageIDs(text string) []string {
	if text == "" || strings.ContainsRune(text, ' ') || len(text) > maxUserID {
		return nil
	}
	if !twilioID.MatchString(text) && contact.MayHoldAddress(text) {
		return nil
	}
	forms := []string{text}
	if head, _, ok := strings.Cut(text, "."); ok && len(head) >= 10 {
		forms = append(forms, head)
	}
	return forms
}
