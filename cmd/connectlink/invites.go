package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

type invitesCommand struct {
	Create invitesCreateCommand `cmd:"" help:"Create an invite."`
	Get    invitesGetCommand    `cmd:"" help:"Show one invite with its timeline."`
	List   invitesListCommand   `cmd:"" help:"List invites, newest first."`
	Resend invitesResendCommand `cmd:"" help:"Send an invite again, to a corrected address or by another channel if you say so."`
	Revoke invitesRevokeCommand `cmd:"" help:"End an invite for good."`
}

// remote says which service to talk to.
type remote struct {
	URL    string `help:"The service's address." env:"CONNECTLINK_URL" default:"http://127.0.0.1:8080"`
	APIKey string `name:"api-key" help:"The API key." env:"CONNECTLINK_API_KEY"`
}

type invitesCreateCommand struct {
	remote
	User           string `help:"Your own id of the user." required:""`
	App            string `help:"The app's name slug, for example slack." required:""`
	OAuthApp       string `name:"oauth-app" help:"Your OAuth client at Pipedream, oa_…."`
	Email          string `help:"Send by email, to this address." xor:"how"`
	Phone          string `help:"Send by SMS, to this number." xor:"how"`
	Name           string `help:"The recipient's name."`
	Inviter        string `help:"Who asks."`
	Note           string `help:"A short note to the recipient."`
	ValidFor       int    `help:"How long the invite link works, in seconds."`
	ReturnURL      string `help:"Where the recipient ends."`
	IdempotencyKey string `help:"Repeat a create safely under the same key."`
}

// Run creates an invite; without --email and --phone it prints a link to hand over.
func (c *invitesCreateCommand) Run(e *env) error {
	body := map[string]any{"external_user_id": c.User, "app": c.App, "channel": "link"}
	recipient := map[string]any{}
	put := func(m map[string]any, key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	put(recipient, "email", c.Email)
	put(recipient, "phone", c.Phone)
	put(recipient, "name", c.Name)
	if len(recipient) > 0 {
		body["recipient"] = recipient
	}
	switch {
	case c.Email != "":
		body["channel"] = "email"
	case c.Phone != "":
		body["channel"] = "sms"
	}
	put(body, "oauth_app_id", c.OAuthApp)
	put(body, "note", c.Note)
	put(body, "return_url", c.ReturnURL)
	if c.Inviter != "" {
		body["inviter"] = map[string]string{"name": c.Inviter}
	}
	if c.ValidFor > 0 {
		body["valid_for"] = c.ValidFor
	}
	return c.call(e, http.MethodPost, "/v1/invites", body, c.IdempotencyKey)
}

type invitesGetCommand struct {
	remote
	ID string `arg:"" help:"The invite's id, inv_…."`
}

// Run shows an invite.
func (c *invitesGetCommand) Run(e *env) error {
	return c.call(e, http.MethodGet, "/v1/invites/"+url.PathEscape(c.ID)+"?expand=deliveries,events", nil, "")
}

type invitesListCommand struct {
	remote
	Status    string `help:"Only invites in this status."`
	User      string `help:"Only this external user's."`
	Recipient string `help:"Only those to this address or number."`
	Limit     int    `help:"How many." default:"20"`
	Cursor    string `help:"Go on from an earlier page's next_cursor."`
}

// Run lists invites.
func (c *invitesListCommand) Run(e *env) error {
	q := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	for k, v := range map[string]string{"status": c.Status, "external_user_id": c.User, "recipient": c.Recipient, "cursor": c.Cursor} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return c.call(e, http.MethodGet, "/v1/invites?"+q.Encode(), nil, "")
}

type invitesResendCommand struct {
	remote
	ID             string `arg:"" help:"The invite's id, inv_…."`
	Channel        string `help:"email or sms; the same as before unless given." enum:"email,sms,link," default:""`
	Email          string `help:"The corrected address."`
	Phone          string `help:"The corrected number."`
	Note           string `help:"A short note to the recipient."`
	IdempotencyKey string `help:"Repeat a resend safely under the same key."`
}

// Run resends an invite.
func (c *invitesResendCommand) Run(e *env) error {
	body, recipient := map[string]any{}, map[string]string{}
	if c.Channel != "" {
		body["channel"] = c.Channel
	}
	if c.Email != "" {
		recipient["email"] = c.Email
	}
	if c.Phone != "" {
		recipient["phone"] = c.Phone
	}
	if len(recipient) > 0 {
		body["recipient"] = recipient
	}
	if c.Note != "" {
		body["note"] = c.Note
	}
	return c.call(e, http.MethodPost, "/v1/invites/"+url.PathEscape(c.ID)+"/resend", body, c.IdempotencyKey)
}

type invitesRevokeCommand struct {
	remote
	ID     string `arg:"" help:"The invite's id, inv_…."`
	Reason string `help:"Why, for the timeline."`
}

// Run revokes an invite.
func (c *invitesRevokeCommand) Run(e *env) error {
	body := map[string]any{}
	if c.Reason != "" {
		body["reason"] = c.Reason
	}
	return c.call(e, http.MethodPost, "/v1/invites/"+url.PathEscape(c.ID)+"/revoke", body, "")
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// call asks the API and prints what it answers, indented. A problem becomes
// the command's error and exit code.
func (r remote) call(e *env, method, path string, body any, idempotencyKey string) error {
	if r.APIKey == "" {
		return &exitError{exitAuth, errors.New("no API key: set CONNECTLINK_API_KEY or --api-key")}
	}
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(e.ctx, method, strings.TrimSuffix(r.URL, "/")+path, payload)
	if err != nil {
		return &exitError{exitUsage, errors.New("--url is not a URL")}
	}
	req.Header.Set("Authorization", "Bearer "+r.APIKey)
	req.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return fmt.Errorf("the service at %s does not answer: %w", r.URL, stripURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode > 299 {
		return problem(resp.StatusCode, raw)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err != nil {
		return fmt.Errorf("the service at %s answered no JSON", r.URL)
	}
	pretty.WriteByte('\n')
	_, err = pretty.WriteTo(e.stdout)
	return err
}

func problem(status int, raw []byte) error {
	var p struct {
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
		Errors    []struct {
			Pointer    string `json:"pointer"`
			Detail     string `json:"detail"`
			Suggestion string `json:"suggestion"`
		} `json:"errors"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Code == "" {
		return &exitError{exitFailed, fmt.Errorf("the service answered %d", status)}
	}
	text := fmt.Sprintf("%s: %s (%s)", p.Code, p.Detail, p.RequestID)
	for _, f := range p.Errors {
		text += "\n  " + f.Pointer + ": " + f.Detail
		if f.Suggestion != "" {
			text += " (did you mean " + f.Suggestion + "?)"
		}
	}
	code := exitFailed
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = exitAuth
	case http.StatusNotFound:
		code = exitNotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		code = exitUsage
	}
	return &exitError{code, errors.New(text)}
}

// stripURL drops the URL from a transport error; its query may hold an address.
func stripURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
