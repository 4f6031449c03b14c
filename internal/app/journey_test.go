package app_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestScriptedRecipients plays every delivery fate and journey through the
// whole process: API, dispatch, the vendors' wire, callbacks, pages.
func TestScriptedRecipients(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	for name, c := range map[string]struct {
		body   object
		path   string
		want   string
		status string // of the invite, when it has got there
		events []string
	}{
		"delivered":            {to("delivered@connectlink.test"), "delivery.status", "delivered", "active", nil},
		"bounced":              {to("bounced@connectlink.test"), "delivery.reason.code", "address_not_found", "failed", []string{"delivery.bounced"}},
		"mailbox full":         {to("mailboxfull@connectlink.test"), "delivery.reason.code", "mailbox_unavailable", "failed", nil},
		"blocked":              {to("blocked@connectlink.test"), "delivery.reason.code", "sender_reputation", "failed", nil},
		"delayed":              {to("delayed@connectlink.test"), "delivery.status", "delivered", "active", []string{"delivery.deferred"}},
		"suppressed":           {to("suppressed@connectlink.test"), "delivery.status", "suppressed", "failed", nil},
		"complained":           {to("complained@connectlink.test"), "delivery.status", "complained", "active", []string{"delivery.delivered"}},
		"silent":               {to("silent@connectlink.test"), "delivery.reason.code", "no_receipt", "active", []string{"delivery.no_receipt"}},
		"silent text":          {toPhone("+12025550108"), "delivery.reason.code", "no_receipt", "active", nil},
		"visit":                {to("delivered+visit@connectlink.test"), "progress", "visited", "active", []string{"link.visited"}},
		"connect":              {to("delivered+connect@connectlink.test"), "status", "connected", "connected", []string{"link.continued", "connected"}},
		"deny":                 {to("delivered+deny@connectlink.test"), "progress", "connect_failed", "active", []string{"connect_failed"}},
		"connect error":        {to("delivered+connecterror@connectlink.test"), "progress", "connect_failed", "active", []string{"connect_failed"}},
		"scanner":              {to("delivered+scanner@connectlink.test"), "delivery.status", "delivered", "active", nil},
		"invalid number":       {toPhone("+15005550001"), "delivery.reason.code", "invalid_number", "failed", nil},
		"country switched off": {toPhone("+15005550003"), "delivery.reason.code", "country_not_enabled", "failed", nil},
		"opted out":            {toPhone("+15005550004"), "delivery.reason.code", "opted_out", "failed", nil},
		"not a mobile":         {toPhone("+15005550009"), "delivery.reason.code", "landline", "failed", nil},
		"text delivered":       {toPhone("+12025550100"), "delivery.status", "delivered", "active", nil},
		"phone off":            {toPhone("+12025550103"), "delivery.reason.code", "phone_unreachable", "failed", nil},
		"unknown number":       {toPhone("+12025550105"), "delivery.reason.code", "number_unknown", "failed", nil},
		"landline":             {toPhone("+12025550106"), "delivery.reason.code", "landline", "failed", nil},
		"filtered":             {toPhone("+12025550107"), "delivery.reason.code", "carrier_filtered", "failed", nil},
		"connect with a code": {
			with(to("delivered+connect@connectlink.test"), "verify", "code"), "status", "connected", "connected",
			[]string{"verify.requested", "verify.passed", "link.continued", "connected"},
		},
		"text and connect with a code": {
			with(toPhone("+12025550111"), "verify", "code"), "status", "connected", "connected", []string{"verify.requested", "verify.passed"},
		},
		"text and connect": {toPhone("+12025550111"), "status", "connected", "connected", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := p.in(t)
			// A person of its own: an account that one recipient connects answers
			// for every open invite of the same user and app.
			c.body["external_user_id"] = "user " + name
			made := p.invite(http.StatusCreated, c.body)
			inv := p.until(made.text("id"), c.path+" "+c.want, func(inv object) bool { return inv.text(c.path) == c.want })
			if got := inv.text("status"); got != c.status {
				t.Errorf("status = %s, want %s", got, c.status)
			}
			events := p.events(made.text("id"))
			for _, e := range c.events {
				if !slices.Contains(events, e) {
					t.Errorf("the timeline lacks %s: %v", e, events)
				}
			}
			if r := inv.at("delivery.reason"); r != nil && (inv.text("delivery.reason.title") == "" || inv.text("delivery.reason.advice") == "") {
				t.Errorf("the reason has no words: %v", r)
			}
			if c.status == "connected" && inv.text("connection.account_id") == "" {
				t.Error("connected without an account")
			}
		})
	}
}

// in is the same product seen by a subtest.
func (p *product) in(t *testing.T) *product {
	q := *p
	q.t = t
	return &q
}

func TestProviderThatIsDownForAWhile(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	made := p.invite(http.StatusCreated, to("providerdown@connectlink.test"))
	// A 503 says nothing about what became of the message, so it is not sent
	// again before the provider's silence has been believed: it stays honest.
	inv := p.until(made.text("id"), "settled one way or the other", func(inv object) bool {
		s := inv.text("delivery.status")
		return s == "delivered" || s == "unknown" || slices.Contains(p.events(made.text("id")), "delivery.unknown")
	})
	if inv.text("status") == "failed" {
		t.Error("an unknown outcome was called a failure")
	}
}

func TestMintThatFailsForAWhileFollows(t *testing.T) {
	t.Parallel()
	// Slow enough that Pipedream's outage outlasts the tries within one create.
	p := start(t, boot{pace: time.Second})
	made := p.invite(http.StatusAccepted, to("mintslow@connectlink.test"))
	if made.text("status") != "pending" || made.at("connect_link_url") != nil || made.text("invite_link.url") == "" {
		t.Fatalf("202: %v", made)
	}
	inv := p.until(made.text("id"), "active and delivered", func(inv object) bool {
		return inv.text("status") == "active" && inv.text("delivery.status") == "delivered"
	})
	if inv.text("connect_link_url") == "" || inv.text("expires_at") == "" {
		t.Error("the link did not follow")
	}
	status, _, problem := p.call(http.MethodPost, "/v1/invites", to("mintfail@connectlink.test"))
	if status != http.StatusBadGateway || problem.text("code") != "token_mint_failed" || problem.at("retryable") != false {
		t.Errorf("a lasting refusal: %d %v", status, problem)
	}
}

func TestChannelLinkSendsNothing(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	made := p.invite(http.StatusCreated, object{"external_user_id": "user-9", "app": "hubspot", "channel": "link"})
	if made.at("delivery") != nil || made.text("connect_link_url") == "" || made.text("invite_link.url") == "" {
		t.Errorf("%v", made)
	}
	_, _, messages := p.call(http.MethodGet, "/v1/test_helpers/messages", nil)
	if n := len(messages["data"].([]any)); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// TestPlainJobWithNothingPublic: without a public URL messages carry
// Pipedream's own link, and polling learns what no callback could tell.
func TestPlainJobWithNothingPublic(t *testing.T) {
	t.Parallel()
	p := start(t, boot{noPublic: true})
	made := p.invite(http.StatusCreated, to("delivered+connect@connectlink.test"))
	if made.text("link_type") != "connect" || made.at("invite_link") != nil {
		t.Fatalf("%v", made)
	}
	inv := p.until(made.text("id"), "connected", func(inv object) bool { return inv.text("status") == "connected" })
	if inv.text("connection.account_id") == "" {
		t.Error("no account")
	}
}

// TestTwinsOnTwoProcesses: 64 twins with one Idempotency-Key make one invite and one message.
func TestTwinsOnTwoProcesses(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	first := start(t, boot{keyset: keyset})
	second := start(t, boot{db: first.db, keyset: keyset, env: map[string]string{"CONNECTLINK_PUBLIC_URL": first.base}})
	second.key = first.key
	type answer struct {
		status int
		id     string
	}
	answers := make(chan answer, 64)
	for i := range 64 {
		go func() {
			p := []*product{first, second}[i%2]
			status, _, out := p.call(http.MethodPost, "/v1/invites", to("delivered@connectlink.test"), "Idempotency-Key", "order-7")
			answers <- answer{status, out.text("id")}
		}()
	}
	one := <-answers
	for range 63 {
		if a := <-answers; a != one || a.status != http.StatusCreated {
			t.Errorf("a twin got %v, another %v", a, one)
		}
	}
	first.until(one.id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	_, _, messages := first.call(http.MethodGet, "/v1/test_helpers/messages", nil)
	if n := len(messages["data"].([]any)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestALinkHandedOverByTheProductIsLookedFor: with channel link there is no
// press to see, so Pipedream's accounts are read from the start.
func TestALinkHandedOverByTheProductIsLookedFor(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	made := p.invite(http.StatusCreated, object{"external_user_id": "user-9", "app": "hubspot", "channel": "link"})
	if made.at("connect_link_open_until") == nil {
		inv := p.until(made.text("id"), "known to be out", func(inv object) bool { return inv.at("connect_link_open_until") != nil })
		if inv.text("status") != "active" {
			t.Errorf("status = %s", inv.text("status"))
		}
	}
}
