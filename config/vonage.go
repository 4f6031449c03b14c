package config

import (
	"strings"
	"unicode"

	"github.com/connectlink/connectlink/internal/secret"
)

// ByVonage names Vonage among the providers of text messages.
const ByVonage = "vonage"

// Vonage is a project's account there.
type Vonage struct {
	APIURL                   string
	APIKey                   string
	APISecret                secret.Text
	SignatureSecret          secret.Text // verifies webhooks
	SignatureSecretSecondary secret.Text // while they are rotated
	From                     string
	OneWay                   bool    // the sender receives no replies, so messages link to an opt-out page
	PerSecond                float64 // most messages a second; 0: unlimited
}

// Configured reports whether text messages can be sent through Vonage.
func (v Vonage) Configured() bool { return v.APIKey != "" && !v.APISecret.IsZero() && v.From != "" }

func (v Vonage) account() Account {
	return Account{
		Name: ByVonage, Label: "Vonage", APIURL: v.APIURL, channel: sms, needs: "vonage.api_key",
		isThere: v.Configured(), isReady: v.Configured(), warn: v.warn, settings: vonageSettings, check: v.check,
	}
}

func (v Vonage) warn(add func(key, format string, args ...any), hasPages bool) {
	if !v.Configured() {
		return
	}
	if v.SignatureSecret.IsZero() {
		add("vonage.signature_secret", "not set, so Vonage's webhooks cannot be verified and are refused, and a send whose outcome is unknown waits for a person")
	}
	warnOneWay(add, "vonage.two_way", v.OneWay, strings.ContainsFunc(v.From, unicode.IsLetter), hasPages)
}

func (v Vonage) check(add func(key, format string, args ...any), name func(key string) string) {
	if v.APIKey == "" {
		if !v.APISecret.IsZero() || !v.SignatureSecret.IsZero() || v.From != "" {
			add("vonage.api_key", "is needed to use Vonage")
		}
		return
	}
	if v.APISecret.IsZero() {
		add("vonage.api_secret", "is needed together with %s", name("vonage.api_key"))
	}
	if v.From == "" {
		add("vonage.from", "is needed together with %s", name("vonage.api_key"))
	}
}

func vonageSettings() []option[Project] {
	type p = Project
	return []option[Project]{
		textSetting("vonage.api_key", "VONAGE_API_KEY", "", "Vonage API key.",
			func(t *p) *string { return &t.Vonage.APIKey }, nil),
		secretSetting("vonage.api_secret", "VONAGE_API_SECRET", "Its secret.",
			func(t *p) *secret.Text { return &t.Vonage.APISecret }, nil),
		secretSetting("vonage.signature_secret", "VONAGE_SIGNATURE_SECRET", "The account's signature secret, which verifies webhooks. Without one, no delivery reports by Vonage.",
			func(t *p) *secret.Text { return &t.Vonage.SignatureSecret }, nil),
		secretSetting("vonage.signature_secret_secondary", "VONAGE_SIGNATURE_SECRET_SECONDARY", "The previous signature secret during rotation.",
			func(t *p) *secret.Text { return &t.Vonage.SignatureSecretSecondary }, nil),
		textSetting("vonage.from", "VONAGE_FROM", "", "Phone number or sender ID.",
			func(t *p) *string { return &t.Vonage.From }, shortenText(20)),
		invertedSetting("vonage.two_way", "VONAGE_TWO_WAY", "true", "Whether the sender receives replies. If not, as with an alphanumeric sender ID, messages link to an opt-out page instead of \"Reply STOP\".",
			func(t *p) *bool { return &t.Vonage.OneWay }),
		textSetting("vonage.api_url", "VONAGE_API_URL", "https://api.nexmo.com", "Vonage's API.",
			func(t *p) *string { return &t.Vonage.APIURL }, checkAPIURL),
		rateSetting("vonage.per_second", "VONAGE_PER_SECOND", "0", "Maximum messages per second for this account, across all processes; 0 means unlimited.",
			func(t *p) *float64 { return &t.Vonage.PerSecond }),
	}
}
