package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// eventFilter chooses the events to follow.
type eventFilter struct {
	Types  string        `help:"Only these types, with commas between: invite.connected,invite.expired."`
	Invite string        `help:"Only events of this invite." placeholder:"ID"`
	Since  string        `help:"Begin with the events created at this time or later; else with the next one." placeholder:"TIME"`
	Every  time.Duration `help:"Pause between two reads." default:"2s"`
}

type eventsTailCommand struct {
	remote
	eventFilter
	JSON bool `name:"json" help:"Print each event as one line of JSON."`
}

// Help is shown by events tail --help.
func (eventsTailCommand) Help() string {
	return "Needs a key with the scope webhooks. Ctrl-C ends the command; it continues when the service comes back after an outage."
}

// Run prints events as they come, until the command is interrupted.
func (c *eventsTailCommand) Run(e *env) error {
	return c.follow(e, c.remote, func() {}, func(raw json.RawMessage) error {
		if c.JSON {
			_, err := fmt.Fprintf(e.stdout, "%s\n", raw)
			return err
		}
		line, err := formatEvent(raw)
		if err == nil {
			_, err = fmt.Fprintln(e.stdout, line)
		}
		return err
	})
}

// formatEvent returns the line that stands for an event.
func formatEvent(raw json.RawMessage) (string, error) {
	var event any
	if err := json.Unmarshal(raw, &event); err != nil {
		return "", fmt.Errorf("read an event: %w", err)
	}
	return fmt.Sprintf("%s  %-24s %s  %s", cell(event, "created_at"), cell(event, "type"), cell(event, "id"), cell(event, "invite_id")), nil
}

// eventPage is a page of GET /v1/events. The events keep the bytes that webhooks carry.
type eventPage struct {
	Data       []json.RawMessage `json:"data"`
	HasMore    bool              `json:"has_more"`
	NextCursor string            `json:"next_cursor"`
}

// follow calls show for each event, oldest first, and ready once before the first.
// It ends with an error of the request (the key, a filter), with one of show, or with
// nil when the command is interrupted. Any other failure after ready is reported on
// standard error, and reading continues behind the last event that was shown.
func (f eventFilter) follow(e *env, r remote, ready func(), show func(json.RawMessage) error) error {
	query, err := f.query(e, r)
	if err != nil {
		return endQuietly(e, err)
	}
	ready()
	for failing := false; ; {
		page, err := readEvents(e, r, query)
		switch {
		case err == nil:
			failing = false
		case e.ctx.Err() != nil || isRefused(err):
			return endQuietly(e, err)
		case !failing:
			failing = true
			e.say("connectlink: %v; trying again", err)
		}
		for _, raw := range page.Data {
			if err := show(raw); err != nil {
				return endQuietly(e, err)
			}
		}
		if page.NextCursor != "" {
			query.Set("after", page.NextCursor)
		}
		if page.HasMore {
			continue
		}
		if err := pauseFor(e, f.Every); err != nil {
			return endQuietly(e, err)
		}
	}
}

// query returns the parameters of the first page. A limit of one event checks the
// filters, and gives the service's time: the clock of this machine may be wrong.
func (f eventFilter) query(e *env, r remote) (url.Values, error) {
	if f.Every <= 0 {
		return nil, usageError("--every: must be more than 0")
	}
	query := url.Values{"limit": {"1"}}
	for name, value := range map[string]string{"types": f.Types, "invite": f.Invite, "created[gte]": f.Since} {
		if value != "" {
			query.Set(name, value)
		}
	}
	got, err := r.request(e, http.MethodGet, "/v1/events?"+query.Encode(), nil, "")
	if err != nil {
		return nil, err
	}
	if f.Since == "" {
		query.Set("created[gte]", got.at.UTC().Format(time.RFC3339))
	}
	query.Set("limit", "100")
	return query, nil
}

func readEvents(e *env, r remote, query url.Values) (eventPage, error) {
	raw, err := r.ask(e, http.MethodGet, "/v1/events?"+query.Encode(), nil, "")
	if err != nil {
		return eventPage{}, err
	}
	var page eventPage
	if err := decodeAnswer(r.base(e), raw, &page); err != nil {
		return eventPage{}, err
	}
	return page, nil
}

// isRefused reports whether the same request would fail again: its key or its
// parameters are wrong.
func isRefused(err error) bool {
	var x *exitError
	return errors.As(err, &x) && x.code != exitFailed
}

// endQuietly returns nil after an interrupt, which is how a command that follows
// events is meant to end.
func endQuietly(e *env, err error) error {
	if e.ctx.Err() != nil {
		return nil
	}
	return err
}
