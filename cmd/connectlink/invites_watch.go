package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

type invitesWatchCommand struct {
	remote
	one
	JSON    bool          `name:"json" help:"Print each event as one line of JSON."`
	Every   time.Duration `help:"Pause between two reads." default:"2s"`
	Timeout time.Duration `help:"Give up after this time, for example 30m. No limit by default."`
}

// watched is what the command reads of an invite.
type watched struct {
	Status invite.Status     `json:"status"`
	Events []json.RawMessage `json:"events"`
}

// Run prints the events of an invite as they come, and ends with the invite:
// successfully if it is connected.
func (c *invitesWatchCommand) Run(e *env) error {
	if c.Every <= 0 {
		return usageError("--every: must be more than 0")
	}
	began, printed := time.Now(), 0
	for {
		raw, err := c.ask(e, http.MethodGet, c.path()+"?expand=events", nil, "")
		if err != nil {
			return err
		}
		var w watched
		if err := decodeAnswer(c.base(e), raw, &w); err != nil {
			return err
		}
		for _, event := range w.Events[min(printed, len(w.Events)):] {
			if err := c.printEvent(e, event); err != nil {
				return err
			}
		}
		printed = len(w.Events)
		switch w.Status {
		case invite.Connected:
			return nil
		case invite.Expired, invite.Revoked, invite.Failed:
			return fmt.Errorf("the invite is %s", w.Status)
		}
		if c.Timeout > 0 && time.Since(began)+c.Every > c.Timeout {
			return fmt.Errorf("the invite is %s after %s", w.Status, c.Timeout)
		}
		if err := pauseFor(e, c.Every); err != nil {
			return err
		}
	}
}

func (c *invitesWatchCommand) printEvent(e *env, raw json.RawMessage) error {
	if c.JSON {
		_, err := fmt.Fprintf(e.stdout, "%s\n", raw)
		return err
	}
	return printEvent(e, raw)
}

// printEvent prints an event of a timeline as one line.
func printEvent(e *env, raw json.RawMessage) error {
	var event any
	if err := json.Unmarshal(raw, &event); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	_, err := fmt.Fprintf(e.stdout, "%s  %-22s %s\n", cell(event, "occurred_at"), cell(event, "type"), cell(event, "detail"))
	return err
}
