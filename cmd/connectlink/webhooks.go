package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

type webhooksCommand struct {
	List     webhooksListCommand     `cmd:"" help:"List webhook endpoints, that of the configuration first."`
	Create   webhooksCreateCommand   `cmd:"" help:"Create a webhook endpoint and show its secret, once."`
	Rotate   webhooksRotateCommand   `cmd:"" help:"Give a webhook endpoint a new secret and show it, once."`
	Test     webhooksTestCommand     `cmd:"" help:"Post an invented event and show the answer."`
	Recover  webhooksRecoverCommand  `cmd:"" help:"Send the events that an endpoint did not take since a time."`
	Attempts webhooksAttemptsCommand `cmd:"" help:"List the attempts to post events to an endpoint, newest first."`
	Disable  webhooksDisableCommand  `cmd:"" help:"Stop posting events to an endpoint."`
	Enable   webhooksEnableCommand   `cmd:"" help:"Post events to a disabled endpoint again, beginning with those that waited."`
}

func endpointColumns() []column {
	return []column{{"ID", "id"}, {"STATUS", "status"}, {"URL", "url"}, {"MANAGED BY", "managed_by"}, {"FAILING SINCE", "failing_since"}, {"DISABLED", "disabled_reason"}}
}

func attemptColumns() []column {
	return []column{{"CREATED", "created_at"}, {"EVENT", "event_id"}, {"NUMBER", "number"}, {"STATUS", "http_status"}, {"FAILURE", "failure"}, {"MS", "duration_ms"}}
}

const endpointsPath = "/v1/webhook_endpoints"

// oneEndpoint names the endpoint that a command is about.
type oneEndpoint struct {
	ID string `arg:"" help:"The endpoint's id, whe_…."`
}

func (o oneEndpoint) path() string { return endpointsPath + "/" + url.PathEscape(o.ID) }

type webhooksListCommand struct {
	remote
	format
}

// Run lists endpoints.
func (c *webhooksListCommand) Run(e *env) error {
	raw, err := c.ask(e, http.MethodGet, endpointsPath, nil, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, endpointColumns())
}

type webhooksCreateCommand struct {
	remote
	To          string   `arg:"" name:"url" help:"The https address that receives events."`
	Types       []string `help:"Only events of these types; else all." placeholder:"TYPE"`
	Description string   `help:"A note for colleagues." placeholder:"TEXT"`
}

// Run creates an endpoint.
func (c *webhooksCreateCommand) Run(e *env) error {
	body := fields{"url": c.To}
	body.put("description", c.Description)
	if len(c.Types) > 0 {
		body["types"] = c.Types
	}
	return c.call(e, http.MethodPost, endpointsPath, body, "")
}

type webhooksRotateCommand struct {
	remote
	oneEndpoint
	ExpireOldIn time.Duration `help:"How long the old secret signs too, at most 168h." default:"24h"`
}

// Run rotates a secret.
func (c *webhooksRotateCommand) Run(e *env) error {
	return c.call(e, http.MethodPost, c.path()+"/rotate_secret", fields{"expire_old_in": int(c.ExpireOldIn / time.Second)}, "")
}

type webhooksTestCommand struct {
	remote
	oneEndpoint
	Type string `help:"The type of the event." default:"invite.connected"`
}

// Run posts a test event.
func (c *webhooksTestCommand) Run(e *env) error {
	return c.call(e, http.MethodPost, c.path()+"/test", fields{"type": c.Type}, "")
}

type webhooksRecoverCommand struct {
	remote
	oneEndpoint
	Since string `help:"The time, as 2026-11-23T15:04:05Z." required:"" placeholder:"TIME"`
}

// Run sends the missed events again.
func (c *webhooksRecoverCommand) Run(e *env) error {
	return c.call(e, http.MethodPost, c.path()+"/recover", fields{"since": c.Since}, "")
}

type webhooksAttemptsCommand struct {
	remote
	format
	oneEndpoint
	Event  string `help:"Only attempts for this event." placeholder:"ID"`
	Limit  int    `help:"Maximum number of results." default:"20"`
	Cursor string `help:"Continue from an earlier page's next_cursor."`
}

// Run lists attempts.
func (c *webhooksAttemptsCommand) Run(e *env) error {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"event": c.Event, "cursor": c.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	raw, err := c.ask(e, http.MethodGet, c.path()+"/attempts?"+query.Encode(), nil, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, attemptColumns())
}

type webhooksDisableCommand struct {
	remote
	oneEndpoint
}

// Run disables an endpoint.
func (c *webhooksDisableCommand) Run(e *env) error {
	return c.call(e, http.MethodPatch, c.path(), fields{"disabled": true}, "")
}

type webhooksEnableCommand struct {
	remote
	oneEndpoint
}

// Run enables an endpoint.
func (c *webhooksEnableCommand) Run(e *env) error {
	return c.call(e, http.MethodPatch, c.path(), fields{"disabled": false}, "")
}
