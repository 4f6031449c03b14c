package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// Config is everything a process is told.
type Config struct {
	DatabaseURL       secret.Text
	DatabaseDirectURL secret.Text // for LISTEN and session locks; equals DatabaseURL where there is no pooler
	Listen            string      // host:port
	PublicURL         *url.URL    // nil when nobody outside can reach us
	Keyset            secret.Text
	TrustedProxies    []netip.Prefix
	LogLevel          slog.Level
	Role              string // api, worker or all
	AllowNoCallbacks  bool
	SandboxEnabled    bool
	Projects          []Project

	SettleTwilio   time.Duration
	SettleSendGrid time.Duration
	LeaseFor       time.Duration
	RenewEvery     time.Duration
}

// Project is one product and its accounts at the vendors.
type Project struct {
	ID                    string
	Brand                 Brand
	DefaultValidFor       time.Duration // 0: as long as the first token
	ReturnURLs            []string
	DevelopmentRecipients []string
	OnUnknown             string // hold or resend
	SMSConsentRequired    bool
	Webhook               *Webhook
	Pipedream             Pipedream
	SendGrid              SendGrid
	Twilio                Twilio
}

// Brand is what recipients see of a product.
type Brand struct {
	Name         string
	Colour       string // #rrggbb
	LogoURL      string
	SupportEmail string
	LegalLine    string
	PrivacyURL   string
	Region       string // default region of phone numbers, "US"; empty demands international form
}

// Webhook is where a product hears of events.
type Webhook struct {
	URL    string
	Secret secret.Text // whsec_…
}

// Pipedream is a project at Pipedream and the OAuth client to reach it with.
type Pipedream struct {
	APIURL       string
	ClientID     string
	ClientSecret secret.Text
	ProjectID    string // proj_…
	Environment  string // of live keys unless they say otherwise: development or production
	LinkHosts    []string
	TokenScope   string
}

// SendGrid is an account that sends mail.
type SendGrid struct {
	APIURL            string
	APIKey            secret.Text
	From              string
	FromName          string
	ReplyTo           string
	WebhookPublicKeys []string
}

// Twilio is an account that sends texts.
type Twilio struct {
	APIURL              string
	AccountSID          string
	AuthToken           secret.Text
	AuthTokenSecondary  secret.Text
	APIKey              string
	APISecret           secret.Text
	MessagingServiceSID string
	From                string
}

// AllowsReturn says whether people may be sent on to u: an entry of
// ReturnURLs is an https prefix that ends at a path segment, or a custom
// scheme ("acme://").
func (p Project) AllowsReturn(u *url.URL) bool {
	for _, entry := range p.ReturnURLs {
		allowed, err := url.Parse(entry)
		if err != nil || !strings.EqualFold(allowed.Scheme, u.Scheme) {
			continue
		}
		if !strings.EqualFold(allowed.Scheme, "https") && !strings.EqualFold(allowed.Scheme, "http") {
			return true
		}
		prefix := strings.TrimSuffix(allowed.Path, "/")
		if strings.EqualFold(allowed.Host, u.Host) && (u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/")) {
			return true
		}
	}
	return false
}
