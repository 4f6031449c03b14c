package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

type messagesCommand struct {
	List messagesListCommand `cmd:"" help:"List the messages of test mode, newest first."`
	Open messagesOpenCommand `cmd:"" help:"Show one message of test mode with its working links; the newest unless an id is given."`
}

type messagesListCommand struct {
	remote
	format
	Invite  string `help:"Only messages of this invite." placeholder:"ID"`
	To      string `help:"Only messages to this address or number."`
	Channel string `help:"Only this channel: email or sms."`
	Limit   int    `help:"Maximum number of results." default:"20"`
	Cursor  string `help:"Continue from an earlier page's next_cursor."`
}

// Run lists messages.
func (c *messagesListCommand) Run(e *env) error {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"invite": c.Invite, "to": c.To, "channel": c.Channel, "cursor": c.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	raw, err := c.ask(e, http.MethodGet, "/v1/test_helpers/messages?"+query.Encode(), nil, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, messageColumns())
}

type messagesOpenCommand struct {
	remote
	ID   string `arg:"" optional:"" help:"The message's id, msg_…."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// testMessage is what the command shows of a message.
type testMessage struct {
	From, To, Subject, Text string
	Links                   []string
}

// Run shows a message.
func (c *messagesOpenCommand) Run(e *env) error {
	raw, err := c.read(e)
	if err != nil {
		return err
	}
	if c.JSON {
		return printPretty(e, c.base(e), raw)
	}
	var m testMessage
	if err := decodeAnswer(c.base(e), raw, &m); err != nil {
		return err
	}
	if m.Subject != "" {
		m.Subject = "Subject: " + m.Subject + "\n"
	}
	_, err = fmt.Fprintf(e.stdout, "From: %s\nTo: %s\n%s\n%s\n", m.From, m.To, m.Subject, m.Text)
	return err
}

func (c *messagesOpenCommand) read(e *env) ([]byte, error) {
	if c.ID != "" {
		return c.ask(e, http.MethodGet, "/v1/test_helpers/messages/"+url.PathEscape(c.ID), nil, "")
	}
	raw, err := c.ask(e, http.MethodGet, "/v1/test_helpers/messages?limit=1", nil, "")
	if err != nil {
		return nil, err
	}
	var list struct{ Data []json.RawMessage }
	if err := decodeAnswer(c.base(e), raw, &list); err != nil {
		return nil, err
	}
	if len(list.Data) == 0 {
		return nil, &exitError{exitNotFound, errors.New("no message was sent in test mode")}
	}
	return list.Data[0], nil
}
