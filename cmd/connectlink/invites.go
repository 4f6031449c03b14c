package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

type invitesCommand struct {
	Create    invitesCreateCommand    `cmd:"" help:"Create an invite and send it, by --email or --phone; with neither, print a link to hand over."`
	Import    invitesImportCommand    `cmd:"" help:"Create an invite for each row of a CSV file, after a dry run."`
	Get       invitesGetCommand       `cmd:"" help:"Show one invite with its deliveries and its timeline."`
	List      invitesListCommand      `cmd:"" help:"List invites, newest first."`
	Resend    invitesResendCommand    `cmd:"" help:"Resend an invite, optionally to a corrected address or by another channel."`
	Extend    invitesExtendCommand    `cmd:"" help:"Let an invite work longer. Nothing is sent."`
	Revoke    invitesRevokeCommand    `cmd:"" help:"Revoke an invite. This cannot be undone."`
	Reconnect invitesReconnectCommand `cmd:"" help:"Send an invite to connect the account of a connected invite again."`
	Check     invitesCheckCommand     `cmd:"" help:"Check the connected account of an invite at Pipedream now."`
	Watch     invitesWatchCommand     `cmd:"" help:"Follow an invite until it is connected, or has ended without."`
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

// one names an invite.
type one struct {
	ID string `arg:"" help:"The invite's id, inv_…."`
}

func (o one) path() string { return "/v1/invites/" + url.PathEscape(o.ID) }

// present asks the API and prints invites.
func (r remote) present(e *env, f format, method, path string, body any, key string) error {
	raw, err := r.ask(e, method, path, body, key)
	if err != nil {
		return err
	}
	return f.print(e, r.base(e), raw, inviteColumns())
}

// idempotencyKey returns the given key, or a random one: without a key a second attempt
// could act twice.
func idempotencyKey(given string) string {
	if given != "" {
		return given
	}
	return rand.Text()
}

type invitesGetCommand struct {
	remote
	format
	one
}

// Run shows an invite.
func (c *invitesGetCommand) Run(e *env) error {
	raw, err := c.ask(e, http.MethodGet, c.path()+"?expand=deliveries,events", nil, "")
	if err != nil {
		return err
	}
	if err := c.print(e, c.base(e), raw, inviteColumns()); err != nil || c.isJSON(e) {
		return err
	}
	if _, err := fmt.Fprintln(e.stdout); err != nil {
		return err
	}
	var w watched
	if err := json.Unmarshal(raw, &w); err != nil {
		return fmt.Errorf("read the timeline: %w", err)
	}
	for _, event := range w.Events {
		if err := printEvent(e, event); err != nil {
			return err
		}
	}
	return nil
}

type invitesListCommand struct {
	remote
	format
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
	return c.present(e, c.format, http.MethodPost, "/v1/invites/search", body, "")
}

type invitesResendCommand struct {
	remote
	format
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
	return c.present(e, c.format, http.MethodPost, c.path()+"/resend", body, idempotencyKey(c.IdempotencyKey))
}

type invitesExtendCommand struct {
	remote
	format
	one
	ValidFor       int    `help:"How long the invite link works from now on, at most 2592000 (30 days)." placeholder:"SECONDS" required:""`
	IdempotencyKey string `help:"Repeat an extension safely under the same key." placeholder:"KEY"`
}

// Run extends an invite.
func (c *invitesExtendCommand) Run(e *env) error {
	return c.present(e, c.format, http.MethodPost, c.path()+"/extend", fields{"valid_for": c.ValidFor}, idempotencyKey(c.IdempotencyKey))
}

type invitesReconnectCommand struct {
	remote
	format
	one
	Channel        string `help:"email, sms or link; the previous channel by default."`
	Email          string `help:"The recipient's address, if it has changed." placeholder:"ADDRESS"`
	Phone          string `help:"The recipient's number, if it has changed." placeholder:"NUMBER"`
	Inviter        string `help:"Name of the person who asks, shown to the recipient." placeholder:"NAME"`
	Reason         string `help:"Why, as the end of a sentence that begins with \"so that\"; the previous reason by default." placeholder:"TEXT"`
	Note           string `help:"A short note to the recipient." placeholder:"TEXT"`
	ValidFor       int    `help:"How long the invite link works; as before by default." placeholder:"SECONDS"`
	IfActive       string `help:"What to do if an invite for this user and app is active: error, return or replace. The default creates another invite." placeholder:"WHAT"`
	IdempotencyKey string `help:"Repeat a reconnect safely under the same key." placeholder:"KEY"`
}

// Run creates an invite to reconnect.
func (c *invitesReconnectCommand) Run(e *env) error {
	body, recipient, inviter := fields{}, fields{}, fields{}
	recipient.put("email", c.Email)
	recipient.put("phone", c.Phone)
	body.within("recipient", recipient)
	inviter.put("name", c.Inviter)
	body.within("inviter", inviter)
	for name, value := range map[string]string{"channel": c.Channel, "reason": c.Reason, "note": c.Note, "if_active": c.IfActive} {
		body.put(name, value)
	}
	if c.ValidFor != 0 {
		body["valid_for"] = c.ValidFor
	}
	return c.present(e, c.format, http.MethodPost, c.path()+"/reconnect", body, idempotencyKey(c.IdempotencyKey))
}

type invitesCheckCommand struct {
	remote
	format
	one
}

// Run checks an account.
func (c *invitesCheckCommand) Run(e *env) error {
	return c.present(e, c.format, http.MethodPost, c.path()+"/check_connection", nil, "")
}

type invitesRevokeCommand struct {
	remote
	format
	one
	Reason string `help:"Reason, for the timeline." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation with a live key."`
}

// Run revokes an invite.
func (c *invitesRevokeCommand) Run(e *env) error {
	if err := c.confirmLive(e, c.Yes, "Revoke "+printable(c.ID)+"? Its links stop working for good."); err != nil {
		return err
	}
	body := fields{}
	body.put("reason", c.Reason)
	return c.present(e, c.format, http.MethodPost, c.path()+"/revoke", body, idempotencyKey(""))
}
