package config

import (
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// maxValidFor is the longest an invite link may keep working.
const maxValidFor = 30 * 24 * time.Hour

// maxReminders is how often somebody may be reminded of one invite.
const maxReminders = 3

// Bounds of retention. Below a week, repeated callbacks and requests could speak
// of what is gone.
const (
	minRetention = 7 * 24 * time.Hour
	maxRetention = 10 * 365 * 24 * time.Hour
	// DefaultRetention is how long ended invites are kept where nobody says.
	DefaultRetention = 90 * 24 * time.Hour
)

// unnamedBrand stands in messages until somebody names the brand.
const unnamedBrand = "Connect Link"

// projectSettings lists what concerns one product.
func projectSettings() []option[Project] {
	return append(brandSettings(), vendorSettings()...)
}

func brandSettings() []option[Project] {
	type p = Project
	return []option[Project]{
		text("id", "", "", "The project's name in keys and callback paths: a-z, 0-9, - and _.",
			func(t *p) *string { return &t.ID }, checkProjectID).need(),
		text("brand.name", "CONNECTLINK_BRAND_NAME", "", "The product's name in messages and pages. SENDGRID_FROM_NAME, then \""+unnamedBrand+"\", unless set.",
			func(t *p) *string { return &t.Brand.Name }, short(60)),
		text("brand.colour", "CONNECTLINK_BRAND_COLOUR", "", "Colour of buttons, as #1d4ed8.",
			func(t *p) *string { return &t.Brand.Colour }, checkColour),
		text("brand.logo_url", "CONNECTLINK_BRAND_LOGO_URL", "", "PNG or JPEG shown in email and pages; https.",
			func(t *p) *string { return &t.Brand.LogoURL }, checkHTTPS),
		text("brand.support_email", "CONNECTLINK_BRAND_SUPPORT_EMAIL", "", "Where recipients may write to.",
			func(t *p) *string { return &t.Brand.SupportEmail }, checkMailbox),
		text("brand.legal_line", "CONNECTLINK_BRAND_LEGAL_LINE", "", "Name and postal address at the foot of messages and pages.",
			func(t *p) *string { return &t.Brand.LegalLine }, short(300)),
		text("brand.privacy_url", "CONNECTLINK_BRAND_PRIVACY_URL", "", "The privacy notice; https.",
			func(t *p) *string { return &t.Brand.PrivacyURL }, checkHTTPS),
		text("brand.region", "CONNECTLINK_BRAND_REGION", "", "Country by which phone numbers without + are read, as US. Unset, such numbers are refused.",
			func(t *p) *string { return &t.Brand.Region }, checkRegion),
		span("default_valid_for", "CONNECTLINK_DEFAULT_VALID_FOR", "0s", "How long invite links work unless an invite says otherwise; 0 is as long as Pipedream's token.",
			0, maxValidFor, func(t *p) *time.Duration { return &t.DefaultValidFor }),
		count("default_reminders", "CONNECTLINK_DEFAULT_REMINDERS", "0", "How often people are reminded who have not opened the page, unless an invite says otherwise; at most 3.",
			maxReminders, func(t *p) *int { return &t.DefaultReminders }),
		span("retention", "CONNECTLINK_RETENTION", "90d", "How long invites are kept once they have ended, with everything that belongs to them; at least a week.",
			minRetention, maxRetention, func(t *p) *time.Duration { return &t.Retention }),
		text("default_verify", "CONNECTLINK_DEFAULT_VERIFY", VerifyNone, "Whether recipients enter a code that is sent to them before they connect, unless an invite says otherwise: none or code.",
			func(t *p) *string { return &t.DefaultVerify }, oneOf(VerifyNone, VerifyCode)),
		text("free_text", "CONNECTLINK_FREE_TEXT", FreeTextAll, "Which text of API callers recipients read: all; inviter, which leaves out reason and note; or none, which leaves out names too.",
			func(t *p) *string { return &t.FreeText }, oneOf(FreeTextNone, FreeTextInviter, FreeTextAll)),
		text("templates_dir", "CONNECTLINK_TEMPLATES_DIR", "", "A folder of own messages and pages, over the built-in ones file by file; `connectlink templates check` tries it.",
			func(t *p) *string { return &t.TemplatesDir }, short(400)),
		several("return_urls", "CONNECTLINK_RETURN_URLS", "", "Where people may be sent back to: https addresses, each covering what is below its path, and custom schemes such as acme://.",
			func(t *p) *[]string { return &t.ReturnURLs }, checkReturnURL),
		several("app_origins", "CONNECTLINK_APP_ORIGINS", "", "Origins whose pages may call /v1/client/ from a browser (CORS), beside those of Capacitor and Ionic apps; as https://app.acme.example.",
			func(t *p) *[]string { return &t.AppOrigins }, checkOrigin),
		several("apple_app_ids", "CONNECTLINK_APPLE_APP_IDS", "", "iOS apps that people may return to at /r/ of the public URL, as A1B2C3D4E5.example.acme.app.",
			func(t *p) *[]string { return &t.AppleAppIDs }, checkAppleApp),
		several("android_apps", "CONNECTLINK_ANDROID_APPS", "", "The same for Android: package=SHA-256 of the signing certificate, once for each certificate.",
			func(t *p) *[]string { return &t.AndroidApps }, checkAndroidApp),
		several("development_recipients", "CONNECTLINK_DEVELOPMENT_RECIPIENTS", "", "Who may be written to in Pipedream's development environment: pat@acme.example, @acme.example, +12025550123.",
			func(t *p) *[]string { return &t.DevelopmentRecipients }, checkRecipient),
		text("on_unknown", "CONNECTLINK_ON_UNKNOWN", UnknownHold, "When nobody can tell whether a message was taken: hold it for a person, or resend.",
			func(t *p) *string { return &t.OnUnknown }, oneOf(UnknownHold, UnknownResend)),
		flag("sms_consent_required", "CONNECTLINK_SMS_CONSENT_REQUIRED", "false", "Refuse text messages without recorded consent.",
			func(t *p) *bool { return &t.SMSConsentRequired }),
		text("webhook.url", "CONNECTLINK_WEBHOOK_URL", "", "Where events are sent to; https.",
			func(t *p) *string { return &webhook(t).URL }, checkEndpoint),
		hidden("webhook.secret", "CONNECTLINK_WEBHOOK_SECRET", "Signs events; whsec_ and base64 of 24 to 64 bytes.",
			func(t *p) *secret.Text { return &webhook(t).Secret }, checkWebhookSecret),
		flag("webhook.allow_private", "CONNECTLINK_WEBHOOK_ALLOW_PRIVATE", "false", "Send events to private and loopback addresses too, for a product in the same network.",
			func(t *p) *bool { return &webhook(t).AllowPrivate }),
	}
}

func vendorSettings() []option[Project] {
	type p = Project
	return []option[Project]{
		text("pipedream.client_id", "PIPEDREAM_CLIENT_ID", "", "OAuth client of the Pipedream workspace.",
			func(t *p) *string { return &t.Pipedream.ClientID }, nil),
		hidden("pipedream.client_secret", "PIPEDREAM_CLIENT_SECRET", "Its secret.",
			func(t *p) *secret.Text { return &t.Pipedream.ClientSecret }, nil),
		text("pipedream.project_id", "PIPEDREAM_PROJECT_ID", "", "The Pipedream project, proj_….",
			func(t *p) *string { return &t.Pipedream.ProjectID }, nil),
		text("pipedream.environment", "PIPEDREAM_PROJECT_ENVIRONMENT", Development, "Environment of live keys unless they name one: development or production.",
			func(t *p) *string { return &t.Pipedream.Environment }, oneOf(Development, Production)),
		text("pipedream.api_url", "PIPEDREAM_API_URL", "https://api.pipedream.com", "Pipedream's API.",
			func(t *p) *string { return &t.Pipedream.APIURL }, checkAPIURL),
		several("pipedream.link_hosts", "PIPEDREAM_LINK_HOSTS", "pipedream.com", "Hosts a connect link may point to.",
			func(t *p) *[]string { return &t.Pipedream.LinkHosts }, checkHost),
		text("pipedream.token_scope", "PIPEDREAM_TOKEN_SCOPE", "connect:accounts:read connect:accounts:write", "What a connect token may do; as little as the hosted page works with.",
			func(t *p) *string { return &t.Pipedream.TokenScope }, nil),
		hidden("sendgrid.api_key", "SENDGRID_API_KEY", "SendGrid API key with Mail Send.",
			func(t *p) *secret.Text { return &t.SendGrid.APIKey }, nil),
		text("sendgrid.from", "SENDGRID_FROM", "", "Sender of email, as connect@acme.example or Acme <connect@acme.example>.",
			func(t *p) *string { return &t.SendGrid.From }, checkSender),
		text("sendgrid.from_name", "SENDGRID_FROM_NAME", "", "Name of the sender. The brand's name unless set.",
			func(t *p) *string { return &t.SendGrid.FromName }, short(100)),
		text("sendgrid.reply_to", "SENDGRID_REPLY_TO", "", "A mailbox people read.",
			func(t *p) *string { return &t.SendGrid.ReplyTo }, checkMailbox),
		several("sendgrid.webhook_public_keys", "SENDGRID_WEBHOOK_PUBLIC_KEYS", "", "Verification keys of the signed event webhook. Without one, no delivery receipts by email.",
			func(t *p) *[]string { return &t.SendGrid.WebhookPublicKeys }, checkPublicKey),
		text("sendgrid.api_url", "SENDGRID_API_URL", "https://api.sendgrid.com", "SendGrid's API; https://api.eu.sendgrid.com for EU subusers.",
			func(t *p) *string { return &t.SendGrid.APIURL }, checkAPIURL),
		rate("sendgrid.per_second", "SENDGRID_PER_SECOND", "0", "Most messages a second through this account, by all processes together; 0 is as many as there are.",
			func(t *p) *float64 { return &t.SendGrid.PerSecond }),
		text("twilio.account_sid", "TWILIO_ACCOUNT_SID", "", "Twilio account, AC….",
			func(t *p) *string { return &t.Twilio.AccountSID }, nil),
		hidden("twilio.auth_token", "TWILIO_AUTH_TOKEN", "Verifies Twilio's callbacks, and signs in where no API key is set.",
			func(t *p) *secret.Text { return &t.Twilio.AuthToken }, nil),
		hidden("twilio.auth_token_secondary", "TWILIO_AUTH_TOKEN_SECONDARY", "The other token while they are rotated.",
			func(t *p) *secret.Text { return &t.Twilio.AuthTokenSecondary }, nil),
		hidden("twilio.webhook_shared_keys", "TWILIO_WEBHOOK_SHARED_KEYS", "Secrets of the shared keys that Twilio's Webhook Settings sign callbacks with, with commas; empty where the auth token signs.",
			func(t *p) *secret.Text { return &t.Twilio.WebhookSharedKeys }, nil),
		text("twilio.api_key", "TWILIO_API_KEY", "", "Twilio API key, SK….",
			func(t *p) *string { return &t.Twilio.APIKey }, nil),
		hidden("twilio.api_secret", "TWILIO_API_SECRET", "Its secret.",
			func(t *p) *secret.Text { return &t.Twilio.APISecret }, nil),
		text("twilio.messaging_service_sid", "TWILIO_MESSAGING_SERVICE_SID", "", "Messaging Service that sends, MG….",
			func(t *p) *string { return &t.Twilio.MessagingServiceSID }, nil),
		text("twilio.from", "TWILIO_FROM", "", "Number or sender id, where there is no Messaging Service.",
			func(t *p) *string { return &t.Twilio.From }, nil),
		denied("twilio.two_way", "TWILIO_TWO_WAY", "true", "Whether people can reply to the sender. If not, as with a sender id in letters, messages name a page that stops them instead of the reply STOP.",
			func(t *p) *bool { return &t.Twilio.OneWay }),
		text("twilio.api_url", "TWILIO_API_URL", "https://api.twilio.com", "Twilio's API, of the account's region.",
			func(t *p) *string { return &t.Twilio.APIURL }, checkAPIURL),
		rate("twilio.per_second", "TWILIO_PER_SECOND", "0", "Most messages a second through this account, by all processes together; 0 is as many as there are. Twilio queues what is too fast for the sender's number.",
			func(t *p) *float64 { return &t.Twilio.PerSecond }),
		several("email_providers", "CONNECTLINK_EMAIL_PROVIDERS", BySendGrid+","+BySMTP, "By whom email goes, the first choice first; one without an account is passed over.",
			func(t *p) *[]string { return &t.EmailProviders }, oneOf(BySendGrid, BySMTP)).once(),
		rate("smtp_per_second", "SMTP_PER_SECOND", "0", "Most messages a second through this server, by all processes together; 0 is as many as there are.",
			func(t *p) *float64 { return &t.SMTPPerSecond }),
		hidden("smtp_url", "SMTP_URL", "Second email provider, as smtps://user:password@host:465.",
			func(t *p) *secret.Text { return &t.SMTPURL }, checkSMTPURL),
	}
}

// webhook makes room for the webhook's settings while they are read.
func webhook(p *Project) *Webhook {
	if p.Webhook == nil {
		p.Webhook = &Webhook{}
	}
	return p.Webhook
}
