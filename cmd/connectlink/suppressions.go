package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/connectlink/connectlink/internal/invite"
)

type suppressionsCommand struct {
	List suppressionsListCommand `cmd:"" help:"List suppressed addresses, newest first."`
	Add  suppressionsAddCommand  `cmd:"" help:"Block an email address or a phone number."`
	Lift suppressionsLiftCommand `cmd:"" help:"Unblock an address. Only the person can undo a STOP, by texting START."`
}

func suppressionColumns() []column {
	return []column{
		{"ID", "id"}, {"CHANNEL", "channel"}, {"RECIPIENT", "recipient"}, {"KIND", "kind"}, {"SOURCE", "source"}, {"NOTE", "note"},
		{"CREATED", "created_at"}, {"LIFTED", "lifted_at"},
	}
}

// presentSuppressions asks the API and prints suppressions.
func (r remote) presentSuppressions(e *env, f format, method, path string, body any) error {
	raw, err := r.ask(e, method, path, body, "")
	if err != nil {
		return err
	}
	return f.print(e, r.base(e), raw, suppressionColumns())
}

type suppressionsListCommand struct {
	remote
	format
	Channel   string `help:"Only this channel: email or sms."`
	Kind      string `help:"Only this kind, for example hard_bounce or opt_out."`
	Recipient string `help:"Only this address or number."`
	Limit     int    `help:"Maximum number of results." default:"20"`
	Cursor    string `help:"Continue from an earlier page's next_cursor."`
}

// Run lists suppressions. The filters stand in the body, because URLs are logged by proxies.
func (c *suppressionsListCommand) Run(e *env) error {
	body := fields{"limit": c.Limit}
	body.put("channel", c.Channel)
	body.put("kind", c.Kind)
	body.put("recipient", c.Recipient)
	body.put("cursor", c.Cursor)
	return c.presentSuppressions(e, c.format, http.MethodPost, "/v1/suppressions/search", body)
}

type suppressionsAddCommand struct {
	remote
	format
	Email  string `help:"The address." xor:"address" required:"" placeholder:"ADDRESS"`
	Phone  string `help:"The number, with + and country code." xor:"address" required:"" placeholder:"NUMBER"`
	Reason string `help:"Reason, for colleagues who find it later." required:"" placeholder:"TEXT"`
}

// Run blocks an address.
func (c *suppressionsAddCommand) Run(e *env) error {
	body := fields{"reason": c.Reason}
	body.put("email", c.Email)
	body.put("phone", c.Phone)
	return c.presentSuppressions(e, c.format, http.MethodPost, "/v1/suppressions", body)
}

type suppressionsLiftCommand struct {
	remote
	format
	ID     string `arg:"" help:"The suppression's id, sup_…."`
	Reason string `help:"Reason for unblocking it." required:"" placeholder:"TEXT"`
}

// Run lifts a block.
func (c *suppressionsLiftCommand) Run(e *env) error {
	return c.presentSuppressions(e, c.format, http.MethodDelete, "/v1/suppressions/"+url.PathEscape(c.ID), fields{"reason": c.Reason})
}

type reasonsCommand struct {
	Code string `arg:"" optional:"" help:"Only this reason, as delivery.reason.code has it."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run explains reasons. The program knows them itself: no service is asked.
func (c *reasonsCommand) Run(e *env) error {
	list := invite.Explanations()
	if c.Code != "" {
		one, ok := invite.Explain(invite.Reason(c.Code))
		if !ok {
			return &exitError{exitNotFound, fmt.Errorf("there is no reason %q; `connectlink reasons` lists them", c.Code)}
		}
		list = []invite.Explanation{one}
	}
	if c.JSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "REASON\tWHAT HAPPENED\tWHAT TO DO")
	for _, r := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", r.Code, r.Title, r.Advice)
	}
	return w.Flush()
}
