package main

import "net/http"

type pausesCommand struct {
	List   pausesListCommand   `cmd:"" help:"List pauses, with the figures that led to them."`
	Add    pausesAddCommand    `cmd:"" help:"Pause a channel, or text messages to a country or to numbers with a prefix."`
	Resume pausesResumeCommand `cmd:"" help:"Resume what was paused by hand. What the service paused by itself is resumed in the console."`
}

func pauseColumns() []column {
	return []column{
		{"SCOPE", "scope"}, {"CHANNEL", "channel"}, {"COUNTRY", "country"}, {"PREFIX", "prefix"}, {"KEY", "key"}, {"SOURCE", "source"},
		{"REASON", "reason"}, {"PAUSED", "paused_at"},
	}
}

// presentPauses asks the API and prints the pauses.
func (r remote) presentPauses(e *env, f format, method, path string, body any) error {
	raw, err := r.ask(e, method, path, body, "")
	if err != nil {
		return err
	}
	return f.print(e, r.base(e), raw, pauseColumns())
}

type pausesListCommand struct {
	remote
	format
}

// Run lists pauses.
func (c *pausesListCommand) Run(e *env) error {
	return c.presentPauses(e, c.format, http.MethodGet, "/v1/pauses", nil)
}

// pausesSubject is what a pause concerns.
type pausesSubject struct {
	Channel string `help:"The channel: email or sms." required:"" placeholder:"CHANNEL"`
	Country string `help:"With channel sms: only this country, by its two-letter code." xor:"part" placeholder:"CODE"`
	Prefix  string `help:"With channel sms: only numbers that begin with these digits, as +447700." xor:"part" placeholder:"DIGITS"`
}

func (s pausesSubject) fields() fields {
	body := fields{"channel": s.Channel}
	body.put("country", s.Country)
	body.put("prefix", s.Prefix)
	return body
}

type pausesAddCommand struct {
	remote
	format
	pausesSubject
	Reason string `help:"Reason, for the audit log: pumping, wrong_content, wrong_people, provider or maintenance." required:"" placeholder:"REASON"`
}

// Run pauses.
func (c *pausesAddCommand) Run(e *env) error {
	body := c.fields()
	body.put("reason", c.Reason)
	return c.presentPauses(e, c.format, http.MethodPost, "/v1/pauses", body)
}

type pausesResumeCommand struct {
	remote
	format
	pausesSubject
}

// Run resumes.
func (c *pausesResumeCommand) Run(e *env) error {
	return c.presentPauses(e, c.format, http.MethodPost, "/v1/pauses/resume", c.fields())
}
