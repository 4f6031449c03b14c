package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
)

type privacyCommand struct {
	Export privacyExportCommand `cmd:"" help:"Print all stored data about a person, as JSON."`
	Erase  privacyEraseCommand  `cmd:"" help:"Erase a person's data and end their open invites. This cannot be undone."`
}

type privacyExportCommand struct {
	remote
	User   string `arg:"" help:"The external_user_id of the person's invites."`
	Output string `help:"Write to this file, which must not exist yet, instead of printing." placeholder:"FILE" short:"o"`
}

// Run exports a person. The document may be long, so it is streamed.
func (c *privacyExportCommand) Run(e *env) error {
	key, err := c.key(e)
	if err != nil {
		return err
	}
	base := c.base(e)
	resp, err := sendRequest(e, http.MethodPost, base+"/v1/privacy/export", key, fields{"external_user_id": c.User}, "")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode > 299 {
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		return problemError(base, resp.StatusCode, raw)
	}
	if c.Output == "" {
		return checkExport(io.Copy(e.stdout, resp.Body))
	}
	// For its owner's eyes only.
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usageError("--output: %v", err)
	}
	err = checkExport(io.Copy(f, resp.Body))
	return errors.Join(err, f.Close())
}

func checkExport(_ int64, err error) error {
	if err != nil {
		return fmt.Errorf("the export broke off and is not whole; ask again: %w", err)
	}
	return nil
}

type privacyEraseCommand struct {
	remote
	User   string `arg:"" help:"The external_user_id of the person's invites."`
	Reason string `help:"Reason for the timeline, kept permanently: use a ticket number, not a name." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation with a live key."`
}

// Run erases a person.
func (c *privacyEraseCommand) Run(e *env) error {
	if err := c.confirmLive(e, c.Yes, "Erase everything that is held about "+c.User+", for good?"); err != nil {
		return err
	}
	body := fields{"external_user_id": c.User}
	body.put("reason", c.Reason)
	return c.call(e, http.MethodPost, "/v1/privacy/erase", body, "")
}

// askConfirmation asks on the terminal. Without a terminal, --yes is required.
func askConfirmation(e *env, question string) error {
	if !isatty.IsTerminal(e.stdin.Fd()) {
		return usageError("this is with a live key and cannot be undone: add --yes")
	}
	_, _ = fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	line, _ := bufio.NewReader(e.stdin).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return &exitError{exitFailed, errors.New("nothing was done")}
	}
	return nil
}
