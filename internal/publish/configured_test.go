package publish_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestTheConfigurationKnowsTheTypesOfEvents: it must not import the package that has them.
func TestTheConfigurationKnowsTheTypesOfEvents(t *testing.T) {
	t.Parallel()
	var known []string
	for _, name := range invite.PublicTypes() {
		known = append(known, string(name))
	}
	if !slices.Equal(config.EventTypes(), known) {
		t.Errorf("config knows %v, the types are %v", config.EventTypes(), known)
	}
	for _, name := range config.DefaultEvents() {
		if !slices.Contains(known, name) {
			t.Errorf("%s is received unless others are listed, and is no type", name)
		}
	}
}

// TestTheWebhookOfTheConfigurationIsAnEndpoint: it is listed first, cannot be changed by
// callers, receives its six types, and has attempts, tests, recovery and redelivery.
func TestTheWebhookOfTheConfigurationIsAnEndpoint(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	r := newReceiver(t)
	r.answer(http.StatusInternalServerError, "")
	other := k.endpoint(newReceiver(t).URL)
	hook := &config.Webhook{URL: r.URL, Secret: access.NewWebhookSecret(), AllowPrivate: true}
	e := k.configure(hook)
	if again := k.configure(hook); again.ID != e.ID || again.UpdatedAt != e.UpdatedAt {
		t.Errorf("the same configuration again makes %+v of %+v", again, e)
	}
	if list := k.listed(); len(list) != 2 || list[0].ID != e.ID || list[1].ID != other.ID || e.URL != r.URL || len(e.Types) != 6 {
		t.Errorf("listed %+v", list)
	}
	if n := k.Count(`SELECT count(*) FROM webhook_endpoints WHERE livemode`); n != 1 {
		t.Errorf("%d endpoints in live mode", n)
	}
	no := true
	_, changed := k.endpoints.Update(t.Context(), k.key, e.ID, publish.EndpointChange{Disabled: &no})
	_, rotated := k.endpoints.RotateSecret(t.Context(), k.key, e.ID, 0)
	for what, err := range map[string]error{"changed": changed, "rotated": rotated, "deleted": k.endpoints.Delete(t.Context(), k.key, e.ID)} {
		var refused *invite.Error
		if !errors.As(err, &refused) || refused.Code != invite.CodeManagedByConfiguration {
			t.Errorf("%s: %v", what, err)
		}
	}
	if id, err := k.endpoints.Resolve(t.Context(), k.key, publish.ConfiguredID); err != nil || id != e.ID {
		t.Errorf("by its name: %s, %v", id, err)
	}

	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventContinued}) // none of the five
	k.happens(m.ID, invite.Event{Type: invite.EventConnectFailed})
	waittest.Until(t, "an attempt is stored", func() bool { return len(k.attempts(e)) == 1 })
	if a := k.attempts(e)[0]; a.Status != 500 || !strings.HasPrefix(a.Answer, "no no") || len(r.got()) != 1 {
		t.Errorf("attempt %+v after %q", a, r.got())
	}
	if n := k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND next_at BETWEEN now() AND now() + interval '6 s'`, e.ID); n != 1 {
		t.Error("it is not tried again after 5 s")
	}
	r.answer(http.StatusNoContent, "")
	k.due(e)
	waittest.Until(t, "it is delivered", func() bool { return k.delivered(e) == 1 })
	if a, err := k.endpoints.Test(t.Context(), k.key, e.ID, "invite.connected"); err != nil || a.Status != 204 {
		t.Errorf("test: %+v, %v", a, err)
	}
	k.list(find.Feed{})
	if n, err := k.endpoints.Recover(t.Context(), k.key, e.ID, time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("recovered %d, %v; nothing was missed", n, err)
	}
	event := read(t, k.list(find.Feed{Types: []invite.PublicType{"invite.connect_failed"}}).Events[0]).ID
	had := r.count(event.String())
	if ids, err := k.endpoints.Redeliver(t.Context(), k.key, event, e.ID); err != nil || len(ids) != 1 {
		t.Fatalf("redeliver: %v, %v", ids, err)
	}
	waittest.Until(t, "it came again", func() bool { return r.count(event.String()) == had+1 })
}

// TestAChangedConfigurationChangesItsEndpoint: the secret before signs too for a day, a
// start enables what failures disabled, and a webhook that was removed is gone.
func TestAChangedConfigurationChangesItsEndpoint(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	gone, r := newReceiver(t), newReceiver(t)
	gone.answer(http.StatusGone, "")
	first := &config.Webhook{URL: gone.URL, Secret: access.NewWebhookSecret(), AllowPrivate: true}
	e := k.configure(first)
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventExpired})
	waittest.Until(t, "410 disables", func() bool { return k.listed()[0].DisabledWhy == "gone" })
	second := &config.Webhook{URL: r.URL, Secret: access.NewWebhookSecret(), AllowPrivate: true, Events: []string{config.AllEvents}}
	now := k.configure(second)
	if now.ID != e.ID || now.URL != r.URL || len(now.Types) != 0 || now.DisabledAt != nil || now.OldSecretUntil == nil || now.OldSecretUntil.Before(time.Now().Add(23*time.Hour)) {
		t.Errorf("the changed webhook is %+v", now)
	}
	k.happens(m.ID, invite.Event{Type: invite.EventResent})
	waittest.Until(t, "it arrived", func() bool { return r.count("invite.resent") == 1 })
	for _, c := range []*config.Webhook{first, second} {
		verifier, err := standardwebhooks.NewWebhook(c.Secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(r.got(), func(b string) bool { return strings.Contains(b, "invite.resent") })
		if err := verifier.Verify([]byte(r.bodies[at]), r.heads[at]); err != nil {
			t.Errorf("the post does not verify by the secret of %s: %v", c.URL, err)
		}
	}
	k.configure(nil)
	if list := k.listed(); len(list) != 0 {
		t.Errorf("without a webhook: %+v", list)
	}
	if _, err := k.endpoints.Get(t.Context(), k.key, e.ID); err == nil {
		t.Error("a removed webhook is shown")
	}
	k.happens(m.ID, invite.Event{Type: invite.EventRevoked})
	if n := k.Count(`SELECT count(*) FROM webhook_deliveries d JOIN public_events e ON e.id = d.event_id WHERE e.type = 'invite.revoked'`); n != 0 {
		t.Error("an event is queued for a removed webhook")
	}
	if back := k.configure(second); back.ID != e.ID || back.DisabledAt != nil {
		t.Errorf("configured again: %+v", back)
	}
}
