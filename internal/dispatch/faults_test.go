package dispatch

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/provider/smtp"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
)

var updateVerdicts = flag.Bool("update-verdicts", false, "write docs/verdicts.md anew")

// What follows from a fault, in the words of the document.
const (
	again     = "tried again"
	counts    = "tried again; a few in a row let the account rest"
	rests     = "tried again once the account has rested"
	ended     = "ended, with its reason"
	inDoubt   = "looked into first"
	faultWait = time.Minute
)

// fault is one way in which a provider can fail, as it looks on the wire.
type fault struct {
	provider string
	what     string // for the document
	status   int    // HTTP
	field    string // SendGrid's field at fault
	code     int    // Twilio's code
	header   string // Retry-After
	verb     string // SMTP: stage and reply
	answer   string
	outcome  provider.Outcome
	follows  string
	reason   invite.Reason
}

const (
	lostBefore = "the connection is refused"
	lostAfter  = "the connection is cut after the request"
)

// faults are what the providers' documents, and their servers' own words, let
// us expect. Every row is played on a real socket.
func faults() []fault {
	no, not, doubt := provider.Refused, provider.NotSent, provider.Unknown
	sg := func(what string, status int, field, header string, o provider.Outcome, follows string, r invite.Reason) fault {
		return fault{provider: sendgrid.Provider, what: what, status: status, field: field, header: header, outcome: o, follows: follows, reason: r}
	}
	tw := func(what string, status, code int, header string, o provider.Outcome, follows string, r invite.Reason) fault {
		return fault{provider: twilio.Provider, what: what, status: status, code: code, header: header, outcome: o, follows: follows, reason: r}
	}
	sm := func(what, verb, answer string, o provider.Outcome, follows string, r invite.Reason) fault {
		return fault{provider: smtp.Provider, what: what, verb: verb, answer: answer, outcome: o, follows: follows, reason: r}
	}
	return []fault{
		sg(lostBefore, 0, "", "", not, counts, invite.ProviderDown),
		sg(lostAfter, -1, "", "", doubt, inDoubt, invite.OutcomeUnknown),
		sg("a redirect: the base URL is wrong", 302, "", "", no, rests, invite.ProviderAccount),
		sg("the recipient's address is bad", 400, "personalizations.0.to.0.email", "", no, ended, invite.AddressNotFound),
		sg("the content is bad", 400, "content.0.value", "", no, ended, invite.ProviderRefused),
		sg("the sender's address is bad", 400, "from.email", "", no, rests, invite.ProviderAccount),
		sg("a bad request without a field", 400, "", "", no, ended, invite.ProviderRefused),
		sg("the key is wrong", 401, "", "", no, rests, invite.ProviderAccount),
		sg("the sender is not verified", 403, "from", "", no, rests, invite.ProviderAccount),
		sg("no such path: the base URL is wrong", 404, "", "", no, rests, invite.ProviderAccount),
		sg("too large", 413, "", "", no, ended, invite.ProviderRefused),
		sg("a wrong content type", 415, "", "", no, ended, invite.ProviderRefused),
		sg("timed out waiting for us", 408, "", "", doubt, inDoubt, invite.OutcomeUnknown),
		sg("too many requests", 429, "", "7", not, rests, invite.ProviderDown),
		sg("an error of its own", 500, "", "", doubt, inDoubt, invite.OutcomeUnknown),
		sg("a bad gateway", 502, "", "", doubt, inDoubt, invite.OutcomeUnknown),
		sg("not available", 503, "", "30", doubt, inDoubt, invite.OutcomeUnknown),
		sg("a gateway's timeout", 504, "", "", doubt, inDoubt, invite.OutcomeUnknown),

		tw(lostBefore, 0, 0, "", not, counts, invite.ProviderDown),
		tw(lostAfter, -1, 0, "", doubt, inDoubt, invite.OutcomeUnknown),
		tw("not a phone number", 400, 21211, "", no, ended, invite.InvalidNumber),
		tw("the country is switched off", 403, 21408, "", no, ended, invite.CountryNotEnabled),
		tw("the person replied STOP", 400, 21610, "", no, ended, invite.OptedOut),
		tw("no way from this sender to there", 400, 21612, "", no, ended, invite.CountryNotEnabled),
		tw("not a mobile number", 400, 21614, "", no, ended, invite.Landline),
		tw("a landline", 400, 21635, "", no, ended, invite.Landline),
		tw("the body is too long", 400, 21617, "", no, ended, invite.MessageBroken),
		tw("the sender's queue is full", 400, 21611, "", not, counts, invite.ProviderDown),
		tw("the sender's number is not ours", 400, 21606, "", no, rests, invite.ProviderAccount),
		tw("the sender's number is invalid", 400, 21212, "", no, rests, invite.ProviderAccount),
		tw("no such Messaging Service", 400, 21701, "", no, rests, invite.ProviderAccount),
		tw("a Messaging Service without senders", 400, 21703, "", no, rests, invite.ProviderAccount),
		tw("From is not ours, or of another country", 400, 21659, "", no, rests, invite.ProviderAccount),
		tw("From is another account's", 400, 21660, "", no, rests, invite.ProviderAccount),
		tw("From is not for texts", 400, 21601, "", no, rests, invite.ProviderAccount),
		tw("From matches several numbers", 400, 21616, "", no, rests, invite.ProviderAccount),
		tw("the Messaging Service has no number", 400, 21704, "", no, rests, invite.ProviderAccount),
		tw("the Messaging Service is invalid", 400, 21705, "", no, rests, invite.ProviderAccount),
		tw("the Messaging Service takes no messages", 400, 21702, "", no, rests, invite.ProviderAccount),
		tw("the account's limit is used up", 400, 63038, "", no, rests, invite.ProviderAccount),
		tw("the callback URL is refused", 400, 21609, "", no, rests, invite.ProviderAccount),
		tw("the credentials are wrong", 401, 20003, "", no, rests, invite.ProviderAccount),
		tw("the account is suspended", 403, 20005, "", no, rests, invite.ProviderAccount),
		tw("no such account", 404, 20404, "", no, rests, invite.ProviderAccount),
		tw("too many requests", 429, 20429, "3", not, rests, invite.ProviderDown),
		tw("an error of its own", 500, 20500, "", doubt, inDoubt, invite.OutcomeUnknown),
		tw("not available", 503, 20503, "", doubt, inDoubt, invite.OutcomeUnknown),
		tw("a code nobody knows yet", 400, 29999, "", no, ended, invite.ProviderRefused),

		sm(lostBefore, "", "", not, counts, invite.ProviderDown),
		sm("too busy to greet", "GREETING", "421 4.3.2 too busy", not, counts, invite.ProviderDown),
		sm("no way to log in", "EHLO", "250 mx.test", no, rests, invite.ProviderAccount),
		sm("the login is wrong", "AUTH", "535 5.7.8 authentication failed", no, rests, invite.ProviderAccount),
		sm("the login cannot be checked now", "AUTH", "454 4.7.0 temporary failure", not, counts, invite.ProviderDown),
		sm("not our sender address", "MAIL", "553 5.7.1 not owned by user", no, rests, invite.ProviderAccount),
		sm("greylisted", "RCPT", "450 4.2.0 greylisted", not, again, invite.DeferredByHost),
		sm("the mailbox is full for now", "RCPT", "452 4.2.2 mailbox full", not, again, invite.DeferredByHost),
		sm("too many mails at a time", "RCPT", "454 Throttling failure", not, counts, invite.ProviderDown),
		sm("no such user", "RCPT", "550 5.1.1 user unknown", no, ended, invite.AddressNotFound),
		sm("the mailbox is disabled", "RCPT", "550 5.2.1 disabled", no, ended, invite.MailboxUnavailable),
		sm("blocked by a list", "RCPT", "554 5.7.1 blocked", no, ended, invite.SenderReputation),
		sm("cut before the mail", "DATA", "", not, counts, invite.ProviderDown),
		sm("going down after the mail", ".", "421 4.3.2 shutting down", not, counts, invite.ProviderDown),
		sm("too large", ".", "552 5.3.4 too big", no, ended, invite.ContentRefused),
		sm("our sender is refused at the recipient", "RCPT", "553 5.7.1 Sender address rejected: not owned by user", no, rests, invite.ProviderAccount),
		sm("no relaying", "RCPT", "554 5.7.1 Relay access denied", no, rests, invite.ProviderAccount),
		sm("a bare no", "RCPT", "550 no", no, ended, invite.MailReturned),
		sm("taken for spam", ".", "554 5.7.1 spam", no, ended, invite.SenderReputation),
		sm("cut after the mail", ".", "", doubt, inDoubt, invite.OutcomeUnknown),
	}
}

// TestVerdictsOnTheWire plays every fault to the sender it concerns, through a
// socket, and looks at what would follow.
func TestVerdictsOnTheWire(t *testing.T) {
	t.Parallel()
	all := faults()
	if len(all) < 40 {
		t.Fatalf("%d faults", len(all))
	}
	d := newDispatcher(Params{})
	for _, f := range all {
		t.Run(f.provider+": "+f.what, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), faultWait)
			defer cancel()
			_, err := f.sender(t).Send(ctx, sample(f.provider))
			e, ok := err.(*provider.SendError)
			if !ok {
				t.Fatalf("Send: %v", err)
			}
			v := d.judge(e, 1, false)
			got := map[ruling]string{rulingRetry: again, rulingReject: ended, rulingDoubt: inDoubt}[v.ruling]
			switch {
			case v.ruling == rulingRetry && v.rest > 0:
				got = rests
			case v.ruling == rulingRetry && v.strikes:
				got = counts
			}
			if e.Outcome != f.outcome || got != f.follows || v.reason != f.reason {
				t.Errorf("%s, %s, %s; want %s, %s, %s (%v)", e.Outcome, got, v.reason, f.outcome, f.follows, f.reason, e.Err)
			}
			if want := f.header; want != "" && f.outcome == provider.NotSent && fmt.Sprint(int(e.RetryAfter.Seconds())) != want {
				t.Errorf("waits %s, was asked for %s s", e.RetryAfter, want)
			}
		})
	}
}

func sample(provider string) message.Outgoing {
	m := message.Outgoing{InviteID: "inv_1", AttemptID: "att_1"}
	if provider == twilio.Provider {
		m.SMS = &message.SMS{To: secret.New("+12025550100"), Body: secret.New("Connect: https://go.brand.example/c/x")}
		return m
	}
	m.Email = &message.Email{
		From: message.Address{Email: secret.New("connect@brand.example")}, To: message.Address{Email: secret.New("pat@customer.example")},
		Subject: "Connect", Text: secret.New("text"), HTML: secret.New("<p>html</p>"),
	}
	return m
}

func (f fault) sender(t *testing.T) provider.Sender {
	t.Helper()
	if f.provider == smtp.Provider {
		s, err := smtp.New(smtp.Params{URL: secret.New("smtp://user:pass@" + f.mailServer(t))})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	base := closedPort(t)
	if f.status != 0 {
		srv := httptest.NewServer(http.HandlerFunc(f.serve))
		t.Cleanup(srv.Close)
		base = srv.Listener.Addr().String()
	}
	if f.provider == sendgrid.Provider {
		return sendgrid.New(sendgrid.Params{BaseURL: "http://" + base, APIKey: secret.New("SG.x")})
	}
	return twilio.New(twilio.Params{
		BaseURL: "http://" + base, AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: secret.New("x"),
		MessagingServiceSID: "MG" + strings.Repeat("0", 32),
	})
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

// serve answers in the provider's form, or hangs up once it has the request.
func (f fault) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if f.status < 0 {
		panic(http.ErrAbortHandler)
	}
	if f.header != "" {
		w.Header().Set("Retry-After", f.header)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	body := any(map[string]any{"code": f.code, "message": "no", "status": f.status})
	if f.provider == sendgrid.Provider {
		one := map[string]any{"message": "no", "field": nil}
		if f.field != "" {
			one["field"] = f.field
		}
		body = map[string]any{"errors": []any{one}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// mailServer takes one mail in the usual way, but for the one answer at fault.
func (f fault) mailServer(t *testing.T) string {
	t.Helper()
	if f.verb == "" {
		return closedPort(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); talks.Wait() })
	talks.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(faultWait))
		usual := map[string]string{
			"GREETING": "220 mx.test", "EHLO": "250-mx.test\r\n250 AUTH PLAIN", "AUTH": "235 ok", "MAIL": "250 ok", "RCPT": "250 ok",
			"DATA": "354 go on", ".": "250 ok",
		}
		usual[f.verb] = f.answer
		say := func(verb string) bool {
			if usual[verb] == "" {
				return false
			}
			_, err := io.WriteString(c, usual[verb]+"\r\n")
			return err == nil
		}
		in := bufio.NewReader(c)
		mail := false
		for ok := say("GREETING"); ok; {
			line, err := in.ReadString('\n')
			verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch {
			case err != nil || verb == "QUIT":
				return
			case mail && verb != ".":
			default:
				ok = say(verb)
				mail = verb == "DATA"
			}
		}
	})
	return l.Addr().String()
}

// TestVerdictsAreDocumented compares the document with the table above.
func TestVerdictsAreDocumented(t *testing.T) {
	t.Parallel()
	const file = "../../docs/verdicts.md"
	var b strings.Builder
	b.WriteString(verdictsHead)
	for _, f := range faults() {
		reason := ""
		if f.follows != inDoubt {
			reason = "`" + string(f.reason) + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.provider, f.what, f.sign(),
			map[provider.Outcome]string{provider.NotSent: "not sent", provider.Refused: "refused", provider.Unknown: "unknown"}[f.outcome], f.follows, reason)
	}
	if *updateVerdicts {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), b.String()); d != "" {
		t.Errorf("docs/verdicts.md is out of date; go test ./internal/dispatch -run Documented -update-verdicts\n%s", d)
	}
}

// sign is how a fault shows itself.
func (f fault) sign() string {
	switch {
	case f.verb != "" && f.answer == "":
		return "no answer to " + strings.Replace(f.verb, ".", "the dot", 1)
	case f.verb != "":
		return fmt.Sprintf("%s: %s", strings.Replace(f.verb, ".", "the dot", 1), strings.Split(f.answer, "\r")[0])
	case f.status <= 0 || f.provider == smtp.Provider:
		return "no answer"
	case f.field != "":
		return fmt.Sprintf("%d, field %s", f.status, f.field)
	case f.code != 0:
		return fmt.Sprintf("%d, code %d", f.status, f.code)
	}
	return fmt.Sprint(f.status)
}

const verdictsHead = `# What follows from a provider's fault

Made from the table that the tests of ` + "`internal/dispatch`" + ` play on real sockets. It answers, for a call
that did not end in "accepted": what is known of the message, and what happens next.

- **not sent**: it cannot have been taken. It is tried again, with growing pauses, until too little of the
  invite's life is left; with a second provider for the channel, that one is tried first.
- **refused**: a definite no. About this message it ends the delivery (and the invite falls back, if it
  may); about our account the message waits, because every other would be refused as well, and the account rests meanwhile: its lanes are not worked on but for one probe.
- **unknown**: it may have been taken. Nothing is sent again before it is looked into: see "Lost answers"
  in the documentation of that package.

| provider | what happened | how it shows | what is known | the message is | reason shown |
|---|---|---|---|---|---|
`
