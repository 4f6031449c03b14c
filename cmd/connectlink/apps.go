package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

type appsCommand struct {
	Search appsSearchCommand `cmd:"" help:"Find the slug of an app, the value of --app, by words of its name."`
}

func appColumns() []column {
	return []column{{"SLUG", "slug"}, {"NAME", "name"}, {"LOGIN", "auth_type"}}
}

type appsSearchCommand struct {
	remote
	format
	Word []string `arg:"" help:"A slug, a name or words of it."`
}

// Run searches apps. Without a match it names the slug that was probably meant.
func (c *appsSearchCommand) Run(e *env) error {
	query := url.Values{"q": {strings.Join(c.Word, " ")}}
	raw, err := c.ask(e, http.MethodGet, "/v1/apps?"+query.Encode(), nil, "")
	if err != nil {
		return err
	}
	var list struct {
		Data       []json.RawMessage `json:"data"`
		Suggestion string            `json:"suggestion"`
	}
	if err := decodeAnswer(c.base(e), raw, &list); err != nil {
		return err
	}
	if len(list.Data) == 0 && list.Suggestion != "" {
		e.say("No app matches; did you mean %s?", printable(list.Suggestion))
	}
	return c.print(e, c.base(e), raw, appColumns())
}
