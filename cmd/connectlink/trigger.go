package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

type triggerCommand struct {
	remote
	format
	Type     string `arg:"" help:"The type of the event, for example invite.connected."`
	Endpoint string `help:"Only to this webhook endpoint; else to each enabled one that receives the type." placeholder:"ID"`
	Yes      bool   `help:"Do not ask for confirmation with a live key."`
}

// Help is shown by trigger --help.
func (triggerCommand) Help() string {
	return "The event is not stored: it is in no list, and listen does not forward it. The endpoint of the configuration is left out. " +
		"Needs a key with the scope webhooks."
}

// triggerAttempt is what the command reads of an attempt.
type triggerAttempt struct {
	EndpointID string `json:"endpoint_id"`
	Delivered  bool   `json:"delivered"`
}

func triggerColumns() []column {
	return append([]column{{"ENDPOINT", "endpoint_id"}}, attemptColumns()...)
}

// Run posts an invented event to endpoints. It fails if one of them did not take it.
func (c *triggerCommand) Run(e *env) error {
	ids, err := c.endpoints(e)
	if err != nil {
		return err
	}
	if err := c.confirmLive(e, c.Yes, fmt.Sprintf("Post an invented event to %d live endpoints?", len(ids))); err != nil {
		return err
	}
	var attempts []json.RawMessage
	failed := 0
	for _, id := range ids {
		raw, err := c.ask(e, http.MethodPost, endpointsPath+"/"+url.PathEscape(id)+"/test", fields{"type": c.Type}, "")
		if err != nil {
			return err
		}
		var attempt triggerAttempt
		if err := decodeAnswer(c.base(e), raw, &attempt); err != nil {
			return err
		}
		if !attempt.Delivered {
			failed++
		}
		attempts = append(attempts, raw)
	}
	raw, err := json.Marshal(fields{"object": "list", "data": attempts})
	if err != nil {
		return fmt.Errorf("encode the attempts: %w", err)
	}
	if err := c.print(e, c.base(e), raw, triggerColumns()); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d endpoints did not take the event", failed, len(ids))
	}
	return nil
}

// endpoints returns the ids of the endpoints to post to; at least one.
func (c *triggerCommand) endpoints(e *env) ([]string, error) {
	if c.Endpoint != "" {
		return []string{c.Endpoint}, nil
	}
	raw, err := c.ask(e, http.MethodGet, endpointsPath, nil, "")
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []struct {
			ID     string   `json:"id"`
			Types  []string `json:"types"`
			Status string   `json:"status"`
		} `json:"data"`
	}
	if err := decodeAnswer(c.base(e), raw, &list); err != nil {
		return nil, err
	}
	var ids []string
	for _, endpoint := range list.Data {
		if endpoint.Status == "enabled" && (len(endpoint.Types) == 0 || slices.Contains(endpoint.Types, c.Type)) {
			ids = append(ids, endpoint.ID)
		}
	}
	if len(ids) == 0 {
		return nil, &exitError{exitNotFound, errors.New("no enabled webhook endpoint receives this type; `connectlink webhooks create` makes one")}
	}
	return ids, nil
}
