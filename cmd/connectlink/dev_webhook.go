package main

import (
	"fmt"
	"os"

	"github.com/connectlink/connectlink/internal/access"
)

const (
	webhookURLVariable    = "CONNECTLINK_WEBHOOK_URL"
	webhookSecretVariable = "CONNECTLINK_WEBHOOK_SECRET" //nolint:gosec // a name
)

// devWebhook is where dev posts events. secret is empty where the environment or
// the configuration has one; else it is dev's own.
type devWebhook struct{ url, secret string }

// webhook returns the webhook of the flag or of the environment. Without a secret in
// the environment it has one that is kept in the state folder, so that a receiver keeps
// working after a restart.
func (c *devCommand) webhook(e *env, state devState) (devWebhook, error) {
	h := devWebhook{url: c.Webhook}
	if h.url == "" {
		h.url, _ = e.lookup(webhookURLVariable)
	}
	for _, name := range []string{webhookSecretVariable, webhookSecretVariable + "_FILE"} {
		if given, ok := e.lookup(name); h.url == "" || ok && given != "" {
			return h, nil
		}
	}
	kept, ok, err := state.read("webhook_secret")
	if err != nil {
		return h, fmt.Errorf("read the webhook's secret: %w", err)
	}
	if ok {
		h.secret = kept
		return h, nil
	}
	h.secret = access.NewWebhookSecret().Reveal()
	if err := state.write("webhook_secret", h.secret, os.Rename); err != nil {
		return h, fmt.Errorf("keep the webhook's secret: %w", err)
	}
	return h, nil
}

// lookup returns the variables that the webhook sets; others it leaves alone.
func (h devWebhook) lookup(name string) (string, bool) {
	switch {
	case name == webhookURLVariable && h.url != "":
		return h.url, true
	case name == webhookSecretVariable && h.secret != "":
		return h.secret, true
	}
	return "", false
}
