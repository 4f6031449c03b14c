package config

import (
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// maxValidFor is the longest an invite link may keep working.
const maxValidFor = 30 * 24 * time.Hour

// maxReminders is the maximum number of reminders for one invite.
const maxReminders = 3

// maxReconnects is the maximum of max_reconnects_per_person.
const maxReconnects = 50

// Bounds of retention. Below a week, repeated callbacks and requests could refer
// to deleted invites.
const (
	minRetention = 7 * 24 * time.Hour
	maxRetention = 10 * 365 * 24 * time.Hour
	// DefaultRetention is how long ended invites are kept by default.
	DefaultRetention = 90 * 24 * time.Hour
)

// unnamedBrand is the brand's name in messages until one is configured.
const unnamedBrand = "Connect Link"

// projectSettings lists what concerns one product.
func projectSettings() []option[Project] {
	return slices.Concat(brandSettings(), limitSettings(), firewallSettings(), alertSettings(), vendorSettings())
}

func brandSettings() []option[Project] {
	type p = Project
	return []option[Project]{
		textSetting("id", "", "", "The project's name in keys and callback paths: a-z, 0-9, - and _.",
			func(t *p) *string { return &t.ID }, checkProjectID).need(),
		textSetting("brand.name", "CONNECTLINK_BRAND_NAME", "", "The product's name in messages and pages. SENDGRID_FROM_NAME, then \""+unnamedBrand+"\", unless set.",
			func(t *p) *string { return &t.Brand.Name }, shortenText(60)),
		textSetting("brand.colour", "CONNECTLINK_BRAND_COLOUR", "", "Colour of buttons, for example #1d4ed8.",
			func(t *p) *string { return &t.Brand.Colour }, checkColour),
		textSetting("brand.logo_url", "CONNECTLINK_BRAND_LOGO_URL", "", "PNG or JPEG shown in email and pages; https.",
			func(t *p) *string { return &t.Brand.LogoURL }, checkHTTPS),
		textSetting("brand.support_email", "CONNECTLINK_BRAND_SUPPORT_EMAIL", "", "Address for questions of recipients.",
			func(t *p) *string { return &t.Brand.SupportEmail }, checkMailbox),
		textSetting("brand.legal_line", "CONNECTLINK_BRAND_LEGAL_LINE", "", "Name and postal address at the foot of messages and pages.",
			func(t *p) *string { return &t.Brand.LegalLine }, shortenText(300)),
		textSetting("brand.privacy_url", "CONNECTLINK_BRAND_PRIVACY_URL", "", "The privacy notice; https.",
			func(t *p) *string { return &t.Brand.PrivacyURL }, checkHTTPS),
		textSetting("brand.region", "CONNECTLINK_BRAND_REGION", "", "Country of phone numbers without +, for example US. Without it, such numbers are refused.",
			func(t *p) *string { return &t.Brand.Region }, checkRegion),
		durationSetting("default_valid_for", "CONNECTLINK_DEFAULT_VALID_FOR", "0s", "How long invite links work by default; 0 means as long as Pipedream's token.",
			0, maxValidFor, func(t *p) *time.Duration { return &t.DefaultValidFor }),
		countSetting("default_reminders", "CONNECTLINK_DEFAULT_REMINDERS", "0", "Default number of reminders to recipients who have not opened the page; at most 3.",
			maxReminders, func(t *p) *int { return &t.DefaultReminders }),
		durationSetting("retention", "CONNECTLINK_RETENTION", "90d", "How long invites and their data are kept after they have ended; at least a week.",
			minRetention, maxRetention, func(t *p) *time.Duration { return &t.Retention }),
		textSetting("default_verify", "CONNECTLINK_DEFAULT_VERIFY", VerifyNone, "Default recipient verification: none, or code, which requires a six-digit code before connecting.",
			func(t *p) *string { return &t.DefaultVerify }, oneOf(VerifyNone, VerifyCode)),
		textSetting("free_text", "CONNECTLINK_FREE_TEXT", FreeTextAll, "Which text of API callers is shown to recipients: all; inviter, without reason and note; or none, without names as well.",
			func(t *p) *string { return &t.FreeText }, oneOf(FreeTextNone, FreeTextInviter, FreeTextAll)),
		textSetting("watch_connections", "CONNECTLINK_WATCH_CONNECTIONS", WatchOff, "Whether connected accounts are checked at Pipedream once a day: off or daily.",
			func(t *p) *string { return &t.WatchConnections }, oneOf(WatchOff, WatchDaily)),
		textSetting("on_unhealthy", "CONNECTLINK_ON_UNHEALTHY", UnhealthyEvent, "What to do when a watched account stops working: event, or invite, which sends an invite to reconnect it as well.",
			func(t *p) *string { return &t.OnUnhealthy }, oneOf(UnhealthyEvent, UnhealthyInvite)),
		countSetting("max_reconnects_per_person", "CONNECTLINK_MAX_RECONNECTS_PER_PERSON", "1", "With on_unhealthy invite: the most invites to reconnect that one user gets in seven days; 0 means none.",
			maxReconnects, func(t *p) *int { return &t.MaxReconnects }),
		textSetting("templates_dir", "CONNECTLINK_TEMPLATES_DIR", "", "Folder of your own messages and pages; each file replaces the built-in one. Check it with `connectlink templates check`.",
			func(t *p) *string { return &t.TemplatesDir }, shortenText(400)),
		listSetting("return_urls", "CONNECTLINK_RETURN_URLS", "", "Allowed return addresses: https URLs, each including all paths below it, and custom schemes such as acme://.",
			func(t *p) *[]string { return &t.ReturnURLs }, checkReturnURL),
		listSetting("app_origins", "CONNECTLINK_APP_ORIGINS", "", "Origins whose pages may call /v1/client/ from a browser (CORS), in addition to Capacitor and Ionic apps; for example https://app.acme.example.",
			func(t *p) *[]string { return &t.AppOrigins }, checkOrigin),
		listSetting("apple_app_ids", "CONNECTLINK_APPLE_APP_IDS", "", "iOS apps that people may return to at /r/ of the public URL, as A1B2C3D4E5.example.acme.app.",
			func(t *p) *[]string { return &t.AppleAppIDs }, checkAppleApp),
		listSetting("android_apps", "CONNECTLINK_ANDROID_APPS", "", "The same for Android: package=SHA-256 of the signing certificate, one entry for each certificate.",
			func(t *p) *[]string { return &t.AndroidApps }, checkAndroidApp),
		listSetting("development_recipients", "CONNECTLINK_DEVELOPMENT_RECIPIENTS", "", "Allowed recipients in Pipedream's development environment, for example pat@acme.example, @acme.example, +12025550123.",
			func(t *p) *[]string { return &t.DevelopmentRecipients }, checkRecipient),
		textSetting("on_unknown", "CONNECTLINK_ON_UNKNOWN", UnknownHold, "What to do with a delivery whose outcome is unknown: hold it for a person, or resend it.",
			func(t *p) *string { return &t.OnUnknown }, oneOf(UnknownHold, UnknownResend)),
		boolSetting("sms_consent_required", "CONNECTLINK_SMS_CONSENT_REQUIRED", "false", "Refuse text messages without recorded consent.",
			func(t *p) *bool { return &t.SMSConsentRequired }),
		boolSetting("seal_external_user_id", "CONNECTLINK_SEAL_EXTERNAL_USER_ID", "false", "Store external_user_id encrypted, for products whose user IDs are email addresses or phone numbers. Applies to new invites only; stored ones stay as they are. Set it after every process runs a version that knows it.",
			func(t *p) *bool { return &t.SealExternalUserID }),
		textSetting("webhook.url", "CONNECTLINK_WEBHOOK_URL", "", "URL that receives events; https.",
			func(t *p) *string { return &ensureWebhook(t).URL }, checkEndpoint),
		secretSetting("webhook.secret", "CONNECTLINK_WEBHOOK_SECRET", "Signs events; whsec_ and base64 of 24 to 64 bytes.",
			func(t *p) *secret.Text { return &ensureWebhook(t).Secret }, checkWebhookSecret),
		boolSetting("webhook.allow_private", "CONNECTLINK_WEBHOOK_ALLOW_PRIVATE", "false", "Send events to private and loopback addresses too, for a product in the same network.",
			func(t *p) *bool { return &ensureWebhook(t).AllowPrivate }),
		webhookEventsSetting(),
	}
}

func vendorSettings() []option[Project] {
	type p = Project
	out := []option[Project]{
		textSetting("pipedream.client_id", "PIPEDREAM_CLIENT_ID", "", "OAuth client of the Pipedream workspace.",
			func(t *p) *string { return &t.Pipedream.ClientID }, nil),
		secretSetting("pipedream.client_secret", "PIPEDREAM_CLIENT_SECRET", "Its secret.",
			func(t *p) *secret.Text { return &t.Pipedream.ClientSecret }, nil),
		textSetting("pipedream.project_id", "PIPEDREAM_PROJECT_ID", "", "The Pipedream project, proj_….",
			func(t *p) *string { return &t.Pipedream.ProjectID }, nil),
		textSetting("pipedream.environment", "PIPEDREAM_PROJECT_ENVIRONMENT", Development, "Default environment of live keys: development or production.",
			func(t *p) *string { return &t.Pipedream.Environment }, oneOf(Development, Production)),
		textSetting("pipedream.api_url", "PIPEDREAM_API_URL", "https://api.pipedream.com", "Pipedream's API.",
			func(t *p) *string { return &t.Pipedream.APIURL }, checkAPIURL),
		listSetting("pipedream.link_hosts", "PIPEDREAM_LINK_HOSTS", "pipedream.com", "Allowed hosts of Connect links.",
			func(t *p) *[]string { return &t.Pipedream.LinkHosts }, checkHost),
		textSetting("pipedream.token_scope", "PIPEDREAM_TOKEN_SCOPE", "connect:accounts:read connect:accounts:write", "Scopes of a Connect token; the minimum that the hosted page needs.",
			func(t *p) *string { return &t.Pipedream.TokenScope }, nil),
		secretSetting("sendgrid.api_key", "SENDGRID_API_KEY", "SendGrid API key with Mail Send.",
			func(t *p) *secret.Text { return &t.SendGrid.APIKey }, nil),
		textSetting("sendgrid.from", "SENDGRID_FROM", "", "Sender of email, for example `connect@acme.example` or `Acme <connect@acme.example>`.",
			func(t *p) *string { return &t.SendGrid.From }, checkSender),
		textSetting("sendgrid.from_name", "SENDGRID_FROM_NAME", "", "Name of the sender. Default: the brand's name.",
			func(t *p) *string { return &t.SendGrid.FromName }, shortenText(100)),
		textSetting("sendgrid.reply_to", "SENDGRID_REPLY_TO", "", "Reply-To address; a mailbox that is read.",
			func(t *p) *string { return &t.SendGrid.ReplyTo }, checkMailbox),
		listSetting("sendgrid.webhook_public_keys", "SENDGRID_WEBHOOK_PUBLIC_KEYS", "", "Verification keys of the signed event webhook. Without one, email has no delivery reports.",
			func(t *p) *[]string { return &t.SendGrid.WebhookPublicKeys }, checkPublicKey),
		textSetting("sendgrid.api_url", "SENDGRID_API_URL", "https://api.sendgrid.com", "SendGrid's API; https://api.eu.sendgrid.com for EU subusers.",
			func(t *p) *string { return &t.SendGrid.APIURL }, checkAPIURL),
		rateSetting("sendgrid.per_second", "SENDGRID_PER_SECOND", "0", "Maximum messages per second for this account, across all processes; 0 means unlimited.",
			func(t *p) *float64 { return &t.SendGrid.PerSecond }),
		textSetting("twilio.account_sid", "TWILIO_ACCOUNT_SID", "", "Twilio account, AC….",
			func(t *p) *string { return &t.Twilio.AccountSID }, nil),
		secretSetting("twilio.auth_token", "TWILIO_AUTH_TOKEN", "Verifies Twilio's callbacks; also the credential if no API key is set.",
			func(t *p) *secret.Text { return &t.Twilio.AuthToken }, nil),
		secretSetting("twilio.auth_token_secondary", "TWILIO_AUTH_TOKEN_SECONDARY", "The second token during a rotation.",
			func(t *p) *secret.Text { return &t.Twilio.AuthTokenSecondary }, nil),
		secretSetting("twilio.webhook_shared_keys", "TWILIO_WEBHOOK_SHARED_KEYS", "Secrets of the shared keys that sign callbacks (Twilio's Webhook Settings), separated by commas. Leave empty if the auth token signs.",
			func(t *p) *secret.Text { return &t.Twilio.WebhookSharedKeys }, nil),
		textSetting("twilio.api_key", "TWILIO_API_KEY", "", "Twilio API key, SK….",
			func(t *p) *string { return &t.Twilio.APIKey }, nil),
		secretSetting("twilio.api_secret", "TWILIO_API_SECRET", "Its secret.",
			func(t *p) *secret.Text { return &t.Twilio.APISecret }, nil),
		textSetting("twilio.messaging_service_sid", "TWILIO_MESSAGING_SERVICE_SID", "", "Messaging Service, MG….",
			func(t *p) *string { return &t.Twilio.MessagingServiceSID }, nil),
		textSetting("twilio.from", "TWILIO_FROM", "", "Phone number or sender ID, if there is no Messaging Service.",
			func(t *p) *string { return &t.Twilio.From }, nil),
		invertedSetting("twilio.two_way", "TWILIO_TWO_WAY", "true", "Whether the sender receives replies. If not, as with an alphanumeric sender ID, messages link to an opt-out page instead of \"Reply STOP\".",
			func(t *p) *bool { return &t.Twilio.OneWay }),
		textSetting("twilio.api_url", "TWILIO_API_URL", "https://api.twilio.com", "Twilio's API, in the account's region.",
			func(t *p) *string { return &t.Twilio.APIURL }, checkAPIURL),
		rateSetting("twilio.per_second", "TWILIO_PER_SECOND", "0", "Maximum messages per second for this account, across all processes; 0 means unlimited. Twilio queues messages that exceed the rate of the sender's number.",
			func(t *p) *float64 { return &t.Twilio.PerSecond }),
		listSetting("email_providers", "CONNECTLINK_EMAIL_PROVIDERS", strings.Join(providerNames(email), ","), "Email providers in order of preference; unconfigured ones are skipped.",
			func(t *p) *[]string { return &t.EmailProviders }, oneOf(providerNames(email)...)).once(),
		listSetting("sms_providers", "CONNECTLINK_SMS_PROVIDERS", strings.Join(providerNames(sms), ","), "SMS providers in order of preference; unconfigured ones are skipped.",
			func(t *p) *[]string { return &t.SMSProviders }, oneOf(providerNames(sms)...)).once(),
		rateSetting("smtp_per_second", "SMTP_PER_SECOND", "0", "Maximum messages per second through this server, across all processes; 0 means unlimited.",
			func(t *p) *float64 { return &t.SMTPPerSecond }),
		secretSetting("smtp_url", "SMTP_URL", "Second email provider, for example smtps://user:password@host:465.",
			func(t *p) *secret.Text { return &t.SMTPURL }, checkSMTPURL),
	}
	for _, a := range (Project{}).Accounts() {
		if a.settings != nil {
			out = append(out, a.settings()...)
		}
	}
	return out
}

// ensureWebhook makes room for the webhook's settings while they are read.
func ensureWebhook(p *Project) *Webhook {
	if p.Webhook == nil {
		p.Webhook = &Webhook{}
	}
	return p.Webhook
}
