package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// The roles a process can take.
const (
	RoleAPI    = "api"
	RoleWorker = "worker"
	RoleAll    = "all"
)

// Pipedream's environments.
const (
	Development = "development"
	Production  = "production"
)

// What becomes of a delivery whose fate the provider cannot tell.
const (
	UnknownHold   = "hold"
	UnknownResend = "resend"
)

// Whether connected accounts are checked, and what follows when one stops working.
const (
	WatchOff        = "off"
	WatchDaily      = "daily"
	UnhealthyEvent  = "event"
	UnhealthyInvite = "invite"
)

// The providers of email and of text messages.
const (
	BySendGrid = "sendgrid"
	BySMTP     = "smtp"
	ByTwilio   = "twilio"
)

// What recipients have to show before they are let on.
const (
	VerifyNone = "none"
	VerifyCode = "code"
)

// Which text of callers recipients read in messages and on pages.
const (
	FreeTextNone    = "none"    // none: no name, inviter, reason or note
	FreeTextInviter = "inviter" // the names of the recipient and the inviter
	FreeTextAll     = "all"     // reason and note too
)

// DefaultProject is the project that environment variables compose.
const DefaultProject = "default"

// Config is a whole, valid configuration.
type Config struct {
	DatabaseURL       secret.Text
	DatabaseDirectURL secret.Text // for LISTEN and advisory locks; the same as DatabaseURL unless set
	DatabaseReadURL   secret.Text // of a standby, for lists; empty: there is none
	// DatabaseReadStaleness is how old lists of the API may be that the standby serves.
	DatabaseReadStaleness time.Duration
	DatabasePoolSize      int           // connections of each pool
	DatabaseWait          time.Duration // how long a start waits for the database
	Listen                string        // host:port
	MetricsListen         string        // host:port for /livez, /readyz and /metrics alone; empty: none
	PublicURL             *url.URL      // without a final slash, a query or a fragment; nil when there is none
	Keyset                secret.Text
	KeysetKMS             string   // URI of the KMS key that Keyset is wrapped with; empty: it is not wrapped
	SecurityContact       string   // a URI for /.well-known/security.txt; empty: there is none
	LogoHosts             []string // that logos of apps are fetched from
	HSTSSubdomains        bool     // Strict-Transport-Security holds for subdomains too
	TrustedProxies        []netip.Prefix
	LogLevel              slog.Level
	Role                  string // RoleAPI, RoleWorker or RoleAll
	AllowNoCallbacks      bool
	SandboxEnabled        bool
	SettleTwilio          time.Duration // how long "not found" is not believed
	SettleSendGrid        time.Duration
	NoReceiptEmail        time.Duration // after how long without a word on its arrival a message is said to have none
	NoReceiptSMS          time.Duration
	KeepAlive             time.Duration // how long an idle connection of a client or balancer stays open
	DrainFor              time.Duration // how long requests are still taken after a stop was asked for
	LeaseFor              time.Duration
	RenewEvery            time.Duration
	Console               Console
	Projects              []Project // at least one, ids unique

	notes []string // found while reading, for Warnings
}

// BehindPooler reports whether the database URL leads to a transaction pooler:
// only then is there another address past it.
func (c *Config) BehindPooler() bool {
	return c.DatabaseDirectURL.Reveal() != c.DatabaseURL.Reveal()
}

// Project is one product: its brand, its rules and its accounts at the vendors.
type Project struct {
	ID                    string
	Brand                 Brand
	DefaultValidFor       time.Duration // 0: as long as the connect token
	DefaultReminders      int           // how often to remind unless an invite says otherwise
	Retention             time.Duration // how long invites that ended are kept
	DefaultVerify         string        // VerifyNone or VerifyCode
	Firewall              Firewall
	Alerts                Alerts
	FreeText              string // FreeTextNone, FreeTextInviter or FreeTextAll
	WatchConnections      string // WatchOff or WatchDaily
	OnUnhealthy           string // UnhealthyEvent or UnhealthyInvite
	MaxReconnects         int    // invites to reconnect per user in seven days, with UnhealthyInvite
	Limits                Limits
	TemplatesDir          string   // a folder of own texts, over the built-in ones; empty: none
	ReturnURLs            []string // see AllowsReturn
	AppleAppIDs           []string // "A1B2C3D4E5.example.acme.app"
	AppOrigins            []string // of pages in hybrid apps, beside HybridOrigins; "https://app.acme.example"
	AndroidApps           []string // "example.acme.app=14:6D:…", see SplitAndroidApp
	DevelopmentRecipients []string // "pat@acme.example", "@acme.example", "+12025550123"
	OnUnknown             string   // UnknownHold or UnknownResend
	SMSConsentRequired    bool
	SealExternalUserID    bool     // for invites made from now on
	Webhook               *Webhook // nil when events go nowhere
	PrivateWebhooks       bool     // Webhook.AllowPrivate, for endpoints that are not in the configuration too
	Pipedream             Pipedream
	SendGrid              SendGrid
	Twilio                Twilio
	Vonage                Vonage
	SMTPURL               secret.Text // smtp:// or smtps://, the second email provider
	SMTPPerSecond         float64     // most messages a second; 0 is as many as there are
	// EmailProviders and SMSProviders are names of Accounts in the order in which they
	// are tried; one without an account is skipped.
	EmailProviders []string
	SMSProviders   []string
}

// Brand is what recipients see of a project.
type Brand struct {
	Name         string
	Colour       string // #rrggbb
	LogoURL      string
	SupportEmail string
	LegalLine    string // name and postal address, at the foot of messages and pages
	PrivacyURL   string
	Region       string // ISO 3166 code by which national phone numbers are read; empty: only international ones
}

// Webhook is where a project's events go.
type Webhook struct {
	URL    string
	Secret secret.Text // "whsec_…"
	// AllowPrivate lets events go to loopback and private addresses, for products in the same network.
	AllowPrivate bool
	// Events are the types that it receives, or AllEvents; nil: DefaultEvents.
	Events []string
}

// Pipedream is a project's account there.
type Pipedream struct {
	APIURL       string
	ClientID     string
	ClientSecret secret.Text
	ProjectID    string
	Environment  string   // Development or Production
	LinkHosts    []string // the hosts a connect link may point to
	TokenScope   string   // what a connect token may do
}

// SendGrid is a project's account there.
type SendGrid struct {
	APIURL            string
	APIKey            secret.Text
	From              string
	FromName          string // the brand's name unless set
	ReplyTo           string
	WebhookPublicKeys []string // base64 of a DER public key, as SendGrid shows it
	PerSecond         float64  // most messages a second; 0 is as many as there are
}

// Twilio is a project's account there.
type Twilio struct {
	APIURL              string
	AccountSID          string
	AuthToken           secret.Text
	AuthTokenSecondary  secret.Text // while tokens are rotated
	WebhookSharedKeys   secret.Text // of Webhook Settings at Twilio, with commas
	APIKey              string
	APISecret           secret.Text
	MessagingServiceSID string
	OneWay              bool // the sender receives no replies, so messages link to an opt-out page
	From                string
	PerSecond           float64 // most messages a second; 0 is as many as there are
}

// Project returns the project with this id.
func (c *Config) Project(id string) (Project, bool) {
	for _, p := range c.Projects {
		if p.ID == id {
			return p, true
		}
	}
	return Project{}, false
}

// ProjectIDs returns the ids of all projects.
func (c *Config) ProjectIDs() []string {
	ids := make([]string, len(c.Projects))
	for i, p := range c.Projects {
		ids[i] = p.ID
	}
	return ids
}

// Configured reports whether the project names its Pipedream project, without
// which nothing can be minted for real.
func (p Pipedream) Configured() bool {
	return p.ClientID != "" && !p.ClientSecret.IsZero() && p.ProjectID != ""
}

// Configured reports whether email can be sent through SendGrid.
func (s SendGrid) Configured() bool { return !s.APIKey.IsZero() && s.From != "" }

// Configured reports whether text messages can be sent through Twilio.
func (t Twilio) Configured() bool {
	return t.AccountSID != "" && (!t.AuthToken.IsZero() || t.APIKey != "" && !t.APISecret.IsZero()) &&
		(t.MessagingServiceSID != "" || t.From != "")
}
