package main

import (
	"net/http"
	"net/url"
	"strconv"
)

type eventsCommand struct {
	List      eventsListCommand      `cmd:"" help:"List events, oldest first, with the bodies that webhooks carry."`
	Get       eventsGetCommand       `cmd:"" help:"Show one event."`
	Tail      eventsTailCommand      `cmd:"" help:"Print events as they come, one a line."`
	Redeliver eventsRedeliverCommand `cmd:"" help:"Send one event to webhook endpoints again."`
}

func eventColumns() []column {
	return []column{{"ID", "id"}, {"TYPE", "type"}, {"INVITE", "invite_id"}, {"SEQUENCE", "sequence"}, {"CREATED", "created_at"}}
}

type eventsListCommand struct {
	remote
	format
	Types  string `help:"Only these types, with commas between: invite.connected,invite.expired."`
	Invite string `help:"Only events of this invite." placeholder:"ID"`
	User   string `help:"Only events of this external user's invites." placeholder:"ID"`
	Since  string `help:"Only events created at this time or later." placeholder:"TIME"`
	Until  string `help:"Only events created before this time." placeholder:"TIME"`
	Limit  int    `help:"Maximum number of results." default:"20"`
	Cursor string `help:"Continue from an earlier page's next_cursor."`
}

// Run lists events.
func (c *eventsListCommand) Run(e *env) error {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{
		"types": c.Types, "invite": c.Invite, "external_user_id": c.User, "created[gte]": c.Since, "created[lt]": c.Until, "after": c.Cursor,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	raw, err := c.ask(e, http.MethodGet, "/v1/events?"+query.Encode(), nil, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, eventColumns())
}

type eventsGetCommand struct {
	remote
	ID string `arg:"" help:"The event's id, evt_…."`
}

// Run shows an event.
func (c *eventsGetCommand) Run(e *env) error {
	return c.call(e, http.MethodGet, "/v1/events/"+url.PathEscape(c.ID), nil, "")
}

type eventsRedeliverCommand struct {
	remote
	ID       string `arg:"" help:"The event's id, evt_…."`
	Endpoint string `help:"Only to this webhook endpoint; else to each that receives the type." placeholder:"ID"`
}

// Run sends an event again.
func (c *eventsRedeliverCommand) Run(e *env) error {
	body := fields{}
	body.put("endpoint", c.Endpoint)
	return c.call(e, http.MethodPost, "/v1/events/"+url.PathEscape(c.ID)+"/redeliver", body, "")
}
