package main

import (
	"net/http"
	"net/url"
	"strings"
)

type invitesCommand struct {
	Create invitesCreateCommand `cmd:"" help:"Create an invite and send it, by --email or --phone; with neither, print a link to hand over."`
	Get    invitesGetCommand    `cmd:"" help:"Show one invite with its deliveries and its timeline."`
	List   invitesListCommand   `cmd:"" help:"List invites, newest first."`
	Resend invitesResendCommand `cmd:"" help:"Resend an invite, optionally to a corrected address or by another channel."`
	Revoke invitesRevokeCommand `cmd:"" help:"Revoke an invite. This cannot be undone."`
}

// fields are those of a JSON object; put leaves out empty values.
type fields map[string]any

func (f fields) put(key, value string) {
	if value != "" {
		f[key] = value
	}
}

func (f fields) within(key string, inner fields) {
	if len(inner) > 0 {
		f[key] = inner
	}
}

type invitesCreateCommand struct {
	remote
	User           string `help:"Your own id of the user." required:"" placeholder:"ID"`
	App            string `help:"The app's name slug, for example slack." required:"" placeholder:"SLUG"`
	OAuthApp       string `name:"oauth-app" help:"Your OAuth client at Pipedream." placeholder:"oa_…"`
	Email          string `help:"Send by email, to this address." xor:"channel" placeholder:"ADDRESS"`
	Phone          string `help:"Send by SMS, to this number." xor:"channel" placeholder:"NUMBER"`
	Name           string `help:"The recipient's name."`
	Inviter        string `help:"Name of the person who invites, shown to the recipient." placeholder:"NAME"`
	Note           string `help:"A short note to the recipient." placeholder:"TEXT"`
	ValidFor       int    `help:"How long the invite link works." placeholder:"SECONDS"`
	ReturnURL      string `help:"URL to return the recipient to." placeholder:"URL"`
	IfActive       string `help:"What to do if an invite for this user and app is active: error, return or replace. The default creates another invite." placeholder:"WHAT"`
	IdempotencyKey string `help:"Repeat a create safely under the same key." placeholder:"KEY"`
}

// Run creates an invite.
func (c *invitesCreateCommand) Run(e *env) error {
	recipient, inviter := fields{}, fields{}
	recipient.put("email", c.Email)
	recipient.put("phone", c.Phone)
	recipient.put("name", c.Name)
	inviter.put("name", c.Inviter)
	body := fields{"external_user_id": c.User, "app": c.App, "channel": "link"}
	switch {
	case c.Email != "":
		body["channel"] = "email"
	case c.Phone != "":
		body["channel"] = "sms"
	}
	body.within("recipient", recipient)
	body.within("inviter", inviter)
	body.put("oauth_app_id", c.OAuthApp)
	body.put("note", c.Note)
	body.put("return_url", c.ReturnURL)
	body.put("if_active", c.IfActive)
	if c.ValidFor != 0 {
		body["valid_for"] = c.ValidFor
	}
	return c.call(e, http.MethodPost, "/v1/invites", body, c.IdempotencyKey)
}

// one names an invite.
type one struct {
	ID string `arg:"" help:"The invite's id, inv_…."`
}

func (o one) path() string { return "/v1/invites/" + url.PathEscape(o.ID) }

type invitesGetCommand struct {
	remote
	one
}

// Run shows an invite.
func (c *invitesGetCommand) Run(e *env) error {
	return c.call(e, http.MethodGet, c.path()+"?expand=deliveries,events", nil, "")
}

type invitesListCommand struct {
	remote
	Status    string `help:"Only invites in this status."`
	Channel   string `help:"Only this channel: email, sms or link."`
	App       string `help:"Only invites for this app." placeholder:"SLUG"`
	User      string `help:"Only invites of this external user." placeholder:"ID"`
	Recipient string `help:"Only invites to this address or number."`
	Limit     int    `help:"Maximum number of results." default:"20"`
	Cursor    string `help:"Continue from an earlier page's next_cursor."`
}

// Run lists invites. The filters stand in the body: URLs are logged by proxies,
// and a user or recipient may be an address.
func (c *invitesListCommand) Run(e *env) error {
	body := fields{"limit": c.Limit}
	if c.Status != "" {
		body["status"] = strings.Split(c.Status, ",")
	}
	body.put("channel", c.Channel)
	body.put("app", c.App)
	body.put("external_user_id", c.User)
	body.put("recipient", c.Recipient)
	body.put("cursor", c.Cursor)
	return c.call(e, http.MethodPost, "/v1/invites/search", body, "")
}

type invitesResendCommand struct {
	remote
	one
	Channel        string `help:"email, sms or link; the previous channel by default."`
	Email          string `help:"The corrected address." placeholder:"ADDRESS"`
	Phone          string `help:"The corrected number." placeholder:"NUMBER"`
	Note           string `help:"A short note to the recipient." placeholder:"TEXT"`
	IdempotencyKey string `help:"Repeat a resend safely under the same key." placeholder:"KEY"`
}

// Run resends an invite.
func (c *invitesResendCommand) Run(e *env) error {
	body, recipient := fields{}, fields{}
	recipient.put("email", c.Email)
	recipient.put("phone", c.Phone)
	body.within("recipient", recipient)
	body.put("channel", c.Channel)
	body.put("note", c.Note)
	return c.call(e, http.MethodPost, c.path()+"/resend", body, c.IdempotencyKey)
}

type invitesRevokeCommand struct {
	remote
	one
	Reason string `help:"Reason, for the timeline." placeholder:"TEXT"`
}

// Run revokes an invite.
func (c *invitesRevokeCommand) Run(e *env) error {
	body := fields{}
	body.put("reason", c.Reason)
	return c.call(e, http.MethodPost, c.path()+"/revoke", body, "")
}
