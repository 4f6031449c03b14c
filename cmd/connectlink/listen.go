package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/secret"
)

type listenCommand struct {
	remote
	eventFilter
	ForwardTo  string `help:"The http or https address to post events to, for example http://127.0.0.1:3000/webhooks." required:"" placeholder:"URL"`
	SecretFile string `help:"File with the secret (whsec_…) that signs the posts; else a new one is printed." placeholder:"FILE" type:"path"`
}

// Help is shown by listen --help.
func (listenCommand) Help() string {
	return "Reads the list of events and posts each to your server, with the bytes and the signature of a webhook: no public URL is needed. " +
		"An event is posted once; --since posts earlier ones again. Needs a key with the scope webhooks. Ctrl-C ends the command."
}

// receiverTimeout is the time that webhook endpoints have to answer.
const receiverTimeout = 15 * time.Second

// forwarder posts events to a product's server.
type forwarder struct {
	url    *url.URL
	secret secret.Text
	client *http.Client
}

// Run forwards events until the command is interrupted.
func (c *listenCommand) Run(e *env) error {
	to, err := parseReceiver(c.ForwardTo)
	if err != nil {
		return err
	}
	key, err := c.signingSecret()
	if err != nil {
		return err
	}
	if _, err := standardwebhooks.NewWebhook(key.Reveal()); err != nil {
		return usageError("--secret-file: must hold whsec_ and base64")
	}
	f := forwarder{to, key, &http.Client{
		Timeout:       receiverTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	ready := func() {
		if c.SecretFile == "" {
			e.say("The posts are signed with %s", key.Reveal())
		}
		e.say("Ready: events are posted to %s://%s. Ctrl-C ends.", to.Scheme, to.Host)
	}
	return c.follow(e, c.remote, ready, func(raw json.RawMessage) error {
		line, err := formatEvent(raw)
		if err != nil {
			return err
		}
		answer := f.forward(e, raw)
		if e.ctx.Err() != nil {
			return e.ctx.Err()
		}
		_, err = fmt.Fprintf(e.stdout, "%s  %s\n", line, answer)
		return err
	})
}

// parseReceiver reads the address of --forward-to. Errors do not repeat it: its query
// may hold a secret.
func parseReceiver(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, usageError("--forward-to: must be a URL such as http://127.0.0.1:3000/webhooks")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usageError("--forward-to: must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, usageError("--forward-to: names no host")
	case u.User != nil:
		return nil, usageError("--forward-to: must hold no user name and no password; the signature proves who posts")
	}
	return u, nil
}

// signingSecret is the secret of the file, or a new one.
func (c *listenCommand) signingSecret() (secret.Text, error) {
	if c.SecretFile == "" {
		return access.NewWebhookSecret(), nil
	}
	raw, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return secret.Text{}, usageError("--secret-file: %v", err)
	}
	text := strings.TrimSpace(string(raw))
	if rest, ok := strings.CutPrefix(text, "whsec_"); !ok || rest == "" {
		return secret.Text{}, usageError("--secret-file: must hold whsec_ and base64")
	}
	return secret.New(text), nil
}

// forward posts one event, and returns the receiver's answer in words.
func (f forwarder) forward(e *env, raw json.RawMessage) string {
	began := time.Now()
	resp, err := f.post(e, raw, began)
	if err != nil {
		return "not delivered: " + printable(stripURL(err).Error())
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // a connection is used again after its answer was read
	return fmt.Sprintf("%d %s (%d ms)", resp.StatusCode, http.StatusText(resp.StatusCode), time.Since(began).Milliseconds())
}

func (f forwarder) post(e *env, raw json.RawMessage, now time.Time) (*http.Response, error) {
	var event struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &event); err != nil || event.ID == "" {
		return nil, errors.New("the event has no id")
	}
	req, err := publish.NewRequest(e.ctx, f.url.String(), []string{f.secret.Reveal()}, event.ID, raw, now)
	if err != nil {
		return nil, err
	}
	return f.client.Do(req)
}
