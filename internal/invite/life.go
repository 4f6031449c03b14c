package invite

import "time"

const (
	// DefaultExpiresIn is the life asked for a connect token when the caller
	// names none; it is also Pipedream's maximum.
	DefaultExpiresIn = 4 * time.Hour
	// MaxExpiresIn is Pipedream's maximum life of a connect token.
	MaxExpiresIn = 4 * time.Hour
	// MaxReminders is the maximum number of reminders for one invite.
	MaxReminders = 3
	// MinValidFor is how long an invite link works at least, where the caller says how long.
	MinValidFor = time.Minute
	// MaxValidFor is how long an invite link may keep handing out links.
	MaxValidFor = 30 * 24 * time.Hour
)

// EnoughLeft reports whether the remaining validity of a link or invite is
// enough to give it to a person: the smaller of 15 minutes and a quarter of the
// granted validity.
func EnoughLeft(granted, left time.Duration) bool {
	return left > 0 && left >= min(15*time.Minute, granted/4)
}

// Content is the personal data of an invite, sealed as one value.
type Content struct {
	Recipient Recipient         `json:"recipient"`
	Inviter   string            `json:"inviter,omitempty"`
	Reason    string            `json:"reason,omitempty"` // why the recipient is asked, in the product's words
	Note      string            `json:"note,omitempty"`
	ReturnURL string            `json:"return_url,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

// Recipient is the person who is to connect an account.
type Recipient struct {
	Email      string   `json:"email,omitempty"`
	Phone      string   `json:"phone,omitempty"` // E.164
	Name       string   `json:"name,omitempty"`
	Locale     string   `json:"locale,omitempty"`
	TimeZone   string   `json:"time_zone,omitempty"`
	SMSConsent *Consent `json:"sms_consent,omitempty"`
}

// Consent is the evidence that the person agreed to get texts.
type Consent struct {
	Source     string     `json:"source"`
	ObtainedAt *time.Time `json:"obtained_at,omitempty"`
}

// App is the third-party application to be connected, as Pipedream describes it.
type App struct {
	Slug     string
	Name     string
	LogoURL  string
	AuthType string // oauth, keys, or empty when Pipedream does not say
}
