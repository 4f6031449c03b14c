package main

import (
	"net/http"
	"time"
)

type invitesCreateCommand struct {
	remote
	format
	User     string `help:"Your own id of the user." required:"" placeholder:"ID"`
	App      string `help:"The app's name slug, for example slack." required:"" placeholder:"SLUG"`
	OAuthApp string `name:"oauth-app" help:"Your OAuth client at Pipedream." placeholder:"oa_…"`
	Channel  string `help:"email, sms or link. Follows from --email or --phone; needed only with both." placeholder:"CHANNEL"`

	Email        string    `help:"The recipient's address." placeholder:"ADDRESS"`
	Phone        string    `help:"The recipient's number." placeholder:"NUMBER"`
	Name         string    `help:"The recipient's name."`
	Locale       string    `help:"The recipient's language, for example pt-BR." placeholder:"TAG"`
	TimeZone     string    `help:"The recipient's time zone, for example Europe/Berlin." placeholder:"ZONE"`
	SMSConsent   string    `name:"sms-consent" help:"Where the recipient consented to text messages, for example \"signup form\"." placeholder:"SOURCE"`
	SMSConsentAt time.Time `name:"sms-consent-at" help:"When they did, as 2026-11-29T09:00:00Z." placeholder:"TIME"`

	Inviter     string            `help:"Name of the person who invites, shown to the recipient." placeholder:"NAME"`
	Reason      string            `help:"Why, as the end of a sentence that begins with \"so that\"." placeholder:"TEXT"`
	Note        string            `help:"A short note to the recipient." placeholder:"TEXT"`
	InitiatedBy string            `help:"Who started the connection: product (default) or user." placeholder:"WHO"`
	ReturnURL   string            `help:"URL to return the recipient to." placeholder:"URL"`
	Metadata    map[string]string `help:"Your own data, never shown to recipients. May be repeated." mapsep:"none" placeholder:"KEY=VALUE"`

	Kind    string `help:"invite (default), or reconnect for an account that stopped working." placeholder:"KIND"`
	Account string `help:"With --kind=reconnect: the account, apn_…, if the user has several." placeholder:"ID"`

	LinkType  string    `help:"URL in messages: invite or connect." placeholder:"TYPE"`
	ExpiresIn int       `help:"How long each Connect link works; to let people connect later, set --valid-for." placeholder:"SECONDS"`
	ValidFor  int       `help:"How long the invite link works." placeholder:"SECONDS"`
	SendAt    time.Time `help:"When to send, as 2026-11-29T09:00:00Z; at most 30 days ahead." placeholder:"TIME"`
	Verify    string    `help:"none, or code: the recipient enters a six-digit code first." placeholder:"HOW"`

	Fallback      string `help:"Second channel, used if the first fails: email or sms." placeholder:"CHANNEL"`
	FallbackAfter string `help:"When to use it: failure (default) or not_visited." placeholder:"EVENT"`
	FallbackDelay *int   `help:"How long to wait for it." placeholder:"SECONDS"`
	Reminders     *int   `help:"Maximum number of reminders, 0 to 3; the project's setting by default." placeholder:"N"`

	IfActive       string `help:"What to do if an invite for this user and app is active: error, return or replace. The default creates another invite." placeholder:"WHAT"`
	IfConnected    string `help:"What to do if the user has an account of this app: error, return or new (default)." placeholder:"WHAT"`
	IdempotencyKey string `help:"Repeat a create safely under the same key." placeholder:"KEY"`
}

// Run creates an invite.
func (c *invitesCreateCommand) Run(e *env) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	return c.present(e, c.format, http.MethodPost, "/v1/invites", body, idempotencyKey(c.IdempotencyKey))
}

// body returns the request's body. The service checks the values.
func (c *invitesCreateCommand) body() (fields, error) {
	channel := c.Channel
	switch {
	case channel != "":
	case c.Email != "" && c.Phone != "":
		return nil, usageError("with both --email and --phone, say which comes first: --channel=email or --channel=sms")
	case c.Email != "":
		channel = "email"
	case c.Phone != "":
		channel = "sms"
	default:
		channel = "link"
	}
	body := fields{"external_user_id": c.User, "app": c.App, "channel": channel}
	body.within("recipient", c.recipient())
	inviter := fields{}
	inviter.put("name", c.Inviter)
	body.within("inviter", inviter)
	for name, value := range map[string]string{
		"kind": c.Kind, "account_id": c.Account, "oauth_app_id": c.OAuthApp, "reason": c.Reason, "note": c.Note, "initiated_by": c.InitiatedBy, "return_url": c.ReturnURL,
		"link_type": c.LinkType, "verify": c.Verify, "if_active": c.IfActive, "if_connected": c.IfConnected,
	} {
		body.put(name, value)
	}
	for name, value := range map[string]int{"expires_in": c.ExpiresIn, "valid_for": c.ValidFor} {
		if value != 0 {
			body[name] = value
		}
	}
	if !c.SendAt.IsZero() {
		body["send_at"] = c.SendAt
	}
	if len(c.Metadata) > 0 {
		body["metadata"] = c.Metadata
	}
	if c.Reminders != nil {
		body["reminders"] = fields{"count": *c.Reminders}
	}
	return body, c.addFallback(body)
}

func (c *invitesCreateCommand) recipient() fields {
	r, consent := fields{}, fields{}
	r.put("email", c.Email)
	r.put("phone", c.Phone)
	r.put("name", c.Name)
	r.put("locale", c.Locale)
	r.put("time_zone", c.TimeZone)
	consent.put("source", c.SMSConsent)
	if !c.SMSConsentAt.IsZero() {
		consent["obtained_at"] = c.SMSConsentAt
	}
	r.within("sms_consent", consent)
	return r
}

func (c *invitesCreateCommand) addFallback(body fields) error {
	if c.Fallback == "" {
		if c.FallbackAfter != "" || c.FallbackDelay != nil {
			return usageError("--fallback-after and --fallback-delay need --fallback")
		}
		return nil
	}
	f := fields{"channel": c.Fallback, "after": "failure"}
	f.put("after", c.FallbackAfter)
	if c.FallbackDelay != nil {
		f["delay_s"] = *c.FallbackDelay
	}
	body["fallback"] = f
	return nil
}
