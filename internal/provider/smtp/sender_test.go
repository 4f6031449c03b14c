package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/smtp"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

const password = "hunter22-very-secret"

func outgoing(n int) message.Outgoing {
	return message.Outgoing{
		InviteID: "inv_1", AttemptID: fmt.Sprintf("att_%d", n),
		Email: &message.Email{
			From:        message.Address{Email: secret.New("connect@brand.example"), Name: "Bränd, Inc."},
			To:          message.Address{Email: secret.New(fmt.Sprintf("pat%d@customer.example", n)), Name: `Pat "P" Doe`},
			ReplyTo:     secret.New("help@brand.example"),
			Subject:     "Verbinde dein Slack – jetzt",
			Unsubscribe: secret.New(fmt.Sprintf("https://go.brand.example/s/code%06d", n)),
			Text:        secret.New(fmt.Sprintf("Hallo\n.\nhttps://go.brand.example/c/code%06d?x=1\n", n)),
			HTML:        secret.New(fmt.Sprintf(`<p>Hallo <a href="https://go.brand.example/c/code%06d?x=1">hier</a></p>`, n)),
		},
	}
}

func sender(t testing.TB, srv *server, scheme string, change ...func(*smtp.Params)) *smtp.Sender {
	t.Helper()
	host, login := srv.addr, "user%40x:"+password+"@"
	p := smtp.Params{URL: secret.New(scheme + "://" + login + host), RootCAs: srv.roots, Timeout: time.Minute}
	for _, c := range change {
		c(&p)
	}
	s, err := smtp.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func refused(t testing.TB, err error) *provider.SendError {
	t.Helper()
	se, ok := err.(*provider.SendError)
	if !ok {
		t.Fatalf("Send: %T %v, want a *provider.SendError itself", err, err)
	}
	return se
}

func TestMailArrivesAsItWasMeant(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS from the first byte %t", implicit), func(t *testing.T) {
			t.Parallel()
			srv := serve(t, script{implicit: implicit})
			scheme := map[bool]string{true: "smtps", false: "smtp"}[implicit]
			s := sender(t, srv, scheme)
			m := outgoing(7)
			m.LeaseUntil = time.Now().Add(time.Minute)
			receipt, err := s.Send(t.Context(), m)
			if err != nil {
				t.Fatalf("%v (%v)", err, refused(t, err).Err)
			}
			if receipt.ProviderMessageID != "<att_7@brand.example>" {
				t.Errorf("receipt %+v", receipt)
			}
			mails := srv.took()
			if len(mails) != 1 {
				t.Fatalf("%d mails", len(mails))
			}
			got := mails[0]
			if !strings.HasPrefix(got.from, "MAIL FROM:<connect@brand.example>") || got.to != "RCPT TO:<pat7@customer.example>" {
				t.Errorf("envelope %q, %q", got.from, got.to)
			}
			if !strings.HasPrefix(got.login, "AUTH PLAIN ") || !got.secure {
				t.Errorf("login %.11q, secure %t", got.login, got.secure)
			}
			check(t, got.data, m)
		})
	}
}

func check(t *testing.T, data string, m message.Outgoing) {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	dec := new(mime.WordDecoder)
	head := map[string]string{}
	for _, k := range []string{"From", "To", "Reply-To", "Subject", "Auto-Submitted", "X-Entity-Ref-Id", "Message-Id", "User-Agent", "X-Mailer", "List-Unsubscribe", "List-Unsubscribe-Post"} {
		head[k], _ = dec.DecodeHeader(parsed.Header.Get(k))
	}
	want := map[string]string{
		"From": `"Bränd, Inc." <connect@brand.example>`, "To": `"Pat \"P\" Doe" <pat7@customer.example>`,
		"Reply-To": "<help@brand.example>", "Subject": m.Email.Subject, "Auto-Submitted": "auto-generated",
		"X-Entity-Ref-Id": m.AttemptID, "Message-Id": "<att_7@brand.example>", "User-Agent": "", "X-Mailer": "",
		"List-Unsubscribe": "<" + m.Email.Unsubscribe.Reveal() + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
	}
	for _, k := range []string{"From", "To"} {
		a, err := mail.ParseAddress(parsed.Header.Get(k))
		b, err2 := mail.ParseAddress(want[k])
		if err != nil || err2 != nil || *a != *b {
			t.Errorf("%s is %q, want %q", k, parsed.Header.Get(k), want[k])
		}
		delete(head, k)
		delete(want, k)
	}
	if d := cmp.Diff(want, head); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
	if _, err := parsed.Header.Date(); err != nil {
		t.Error(err)
	}
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q", parsed.Header.Get("Content-Type"))
	}
	r := multipart.NewReader(parsed.Body, params["boundary"])
	for i, want := range []struct{ kind, text string }{
		{"text/plain", m.Email.Text.Reveal()}, {"text/html", m.Email.HTML.Reveal()},
	} {
		part, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), want.kind) {
			t.Errorf("part %d is %s", i, part.Header.Get("Content-Type"))
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if got := strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n"); err != nil || got != strings.TrimRight(want.text, "\n") {
			t.Errorf("part %d reads %q, want %q", i, got, want.text)
		}
	}
}

// A server may hang up in the middle of the content: it has not taken a
// message without its end (RFC 5321, 4.1.1.4).
func TestCutBeforeTheDotWasNotSent(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"hangs up": hangUp, "resets": reset, "says why": "552 5.3.4 too big"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, say("CONTENT", answer))
			m := outgoing(1)
			m.Email.HTML = secret.New("<p>" + strings.Repeat("a long mail, longer than any buffer between here and there. ", 200_000) + "</p>")
			_, err := sender(t, srv, "smtp").Send(t.Context(), m)
			se := refused(t, err)
			if se.Outcome == provider.Unknown || name != "says why" && se.Outcome != provider.NotSent {
				t.Errorf("%v (%v)", se, se.Err)
			}
			if n := len(srv.took()); n != 0 && name != "says why" {
				t.Errorf("%d mails were taken", n)
			}
		})
	}
}

func TestTheServerIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for name, c := range map[string]struct {
		url  string
		kind wire.Kind
	}{
		"the port is closed":      {"smtp://" + l.Addr().String(), wire.KindDial},
		"the name does not exist": {"smtp://relay.invalid:587", wire.KindDNS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := smtp.New(smtp.Params{URL: secret.New(c.url)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Send(t.Context(), outgoing(1))
			se := refused(t, err)
			var f *wire.Fault
			if se.Outcome != provider.NotSent || !errors.As(se.Err, &f) || f.Kind != c.kind {
				t.Errorf("%v, cause %v", se, se.Err)
			}
		})
	}
}

func TestTLSIsRequired(t *testing.T) {
	t.Parallel()
	t.Run("STARTTLS comes before the login", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, script{})
		s := sender(t, srv, "smtp")
		s.Abroad("example.com")
		if _, err := s.Send(t.Context(), outgoing(7)); err != nil {
			t.Fatalf("%v (%v)", err, refused(t, err).Err)
		}
		if got := srv.took(); len(got) != 1 || !got[0].secure {
			t.Errorf("%d mails, in the clear", len(got))
		}
		srv.mu.Lock()
		defer srv.mu.Unlock()
		if d := cmp.Diff([]string{"EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"}, srv.verbs[:min(7, len(srv.verbs))]); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
	for name, c := range map[string]struct {
		script  script
		outcome provider.Outcome
		code    string
		kind    wire.Kind
	}{
		"STARTTLS is missing":       {script{without: []string{"STARTTLS"}}, provider.Refused, "starttls_missing", ""},
		"STARTTLS 454":              {say("STARTTLS", "454 4.7.0 TLS not available"), provider.NotSent, "454 4.7.0", ""},
		"STARTTLS 501":              {say("STARTTLS", "501 5.5.4 no"), provider.Refused, "501 5.5.4", ""},
		"STARTTLS hangs up":         {say("STARTTLS", hangUp), provider.NotSent, "", wire.KindEOF},
		"STARTTLS for another name": {script{}, provider.NotSent, "", wire.KindTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, c.script)
			s := sender(t, srv, "smtp")
			s.Abroad(map[bool]string{true: "other.example", false: "example.com"}[c.kind == wire.KindTLS])
			_, err := s.Send(t.Context(), outgoing(1))
			se := refused(t, err)
			if se.Outcome != c.outcome || se.ProviderCode != c.code {
				t.Errorf("%v, cause %v", se, se.Err)
			}
			var f *wire.Fault
			if c.kind != "" && (!errors.As(se.Err, &f) || f.Kind != c.kind) {
				t.Errorf("cause %v, want %s", se.Err, c.kind)
			}
			if srv.saw("AUTH") || srv.saw("MAIL") {
				t.Error("it went on in the clear")
			}
		})
	}
	t.Run("nobody vouches for the certificate", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, script{implicit: true})
		s := sender(t, srv, "smtps", func(p *smtp.Params) { p.RootCAs = nil })
		_, err := s.Send(t.Context(), outgoing(1))
		se := refused(t, err)
		var f *wire.Fault
		if se.Outcome != provider.NotSent || !errors.As(se.Err, &f) || f.Kind != wire.KindTLS || srv.saw("EHLO") {
			t.Errorf("%v, cause %v", se, se.Err)
		}
	})
	t.Run("it does not speak TLS", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, script{})
		_, err := sender(t, srv, "smtps").Send(t.Context(), outgoing(1))
		se := refused(t, err)
		var f *wire.Fault
		if se.Outcome != provider.NotSent || !errors.As(se.Err, &f) || f.Kind != wire.KindTLS {
			t.Errorf("%v, cause %v", se, se.Err)
		}
	})
}

func TestLeaseOver(t *testing.T) {
	t.Parallel()
	t.Run("before anything", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, script{})
		m := outgoing(1)
		m.LeaseUntil = time.Now().Add(-time.Millisecond)
		_, err := sender(t, srv, "smtp").Send(t.Context(), m)
		wantLease(t, err)
		if conns, _ := srv.heard(); conns != 0 {
			t.Errorf("%d connections were opened", conns)
		}
	})
	// The clock jumps at its n-th look, so that each write of the dialogue is
	// once the one that must be refused.
	for looks := int64(2); ; looks++ {
		srv := serve(t, script{})
		m := outgoing(1)
		start := time.Now()
		m.LeaseUntil = start.Add(time.Minute)
		var n atomic.Int64
		s := sender(t, srv, "smtp", func(p *smtp.Params) {
			p.Now = func() time.Time {
				if n.Add(1) < looks+1 { // the first look dates the mail
					return start
				}
				return start.Add(time.Hour)
			}
		})
		_, err := s.Send(t.Context(), m)
		if err == nil {
			if looks < 8 {
				t.Errorf("the clock was looked at %d times only", looks)
			}
			return
		}
		wantLease(t, err)
		if got := srv.took(); len(got) != 0 {
			t.Fatalf("at look %d a mail was taken after the lease", looks)
		}
	}
}

func wantLease(t *testing.T, err error) {
	t.Helper()
	se := refused(t, err)
	if se.Outcome != provider.NotSent || !errors.Is(se.Err, wire.ErrLeaseOver) {
		t.Fatalf("%v, cause %v; want the lease", se, se.Err)
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]provider.Outcome{
		"GREETING": provider.NotSent, "EHLO": provider.NotSent, "AUTH": provider.NotSent, "MAIL": provider.NotSent,
		"RCPT": provider.NotSent, "DATA": provider.NotSent, ".": provider.Unknown,
	} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, say(verb, silence))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { <-srv.at; cancel() }()
			_, err := sender(t, srv, "smtp").Send(ctx, outgoing(1))
			se := refused(t, err)
			var f *wire.Fault
			if se.Outcome != want || !errors.As(se.Err, &f) || f.Kind != wire.KindCanceled {
				t.Errorf("%v, cause %v; want %s", se, se.Err, want)
			}
		})
	}
	t.Run("a timeout of its own", func(t *testing.T) {
		t.Parallel()
		srv := serve(t, say("EHLO", silence))
		s := sender(t, srv, "smtp", func(p *smtp.Params) { p.Timeout = 100 * time.Millisecond })
		_, err := s.Send(t.Context(), outgoing(1))
		var f *wire.Fault
		if se := refused(t, err); se.Outcome != provider.NotSent || !errors.As(se.Err, &f) || f.Kind != wire.KindTimeout {
			t.Errorf("%v, cause %v", se, se.Err)
		}
	})
}

func TestUnsendable(t *testing.T) {
	t.Parallel()
	srv := serve(t, script{})
	s := sender(t, srv, "smtp")
	for name, spoil := range map[string]func(*message.Outgoing){
		"no mail":        func(m *message.Outgoing) { m.Email = nil },
		"no recipient":   func(m *message.Outgoing) { m.Email.To.Email = secret.New("") },
		"two recipients": func(m *message.Outgoing) { m.Email.To.Email = secret.New("a@x.example>\r\nRCPT TO:<b@x.example") },
		"no sender":      func(m *message.Outgoing) { m.Email.From.Email = secret.New("") },
		"no HTML":        func(m *message.Outgoing) { m.Email.HTML = secret.New("") },
		"a bad reply-to": func(m *message.Outgoing) { m.Email.ReplyTo = secret.New("x\r\ny") },
		"no subject":     func(m *message.Outgoing) { m.Email.Subject = "" },
	} {
		m := outgoing(1)
		spoil(&m)
		_, err := s.Send(t.Context(), m)
		se := refused(t, err)
		if se.Outcome != provider.Refused || se.Scope != provider.ScopeMessage || se.Reason != invite.MessageBroken {
			t.Errorf("%s: %v", name, se)
		}
		if strings.Contains(fmt.Sprint(se.Err), "x.example") {
			t.Errorf("%s: the cause prints the address", name)
		}
	}
	if conns, _ := srv.heard(); conns != 0 {
		t.Error("a connection was opened for nothing")
	}
	// Words of people cannot make headers.
	m := outgoing(1)
	m.Email.Subject = "x\r\nBcc: b@x.example"
	m.Email.To.Name = "Pat\r\nBcc: c@x.example"
	if _, err := s.Send(t.Context(), m); err != nil {
		return // refusing is as good
	}
	parsed, err := mail.ReadMessage(strings.NewReader(srv.took()[0].data))
	if err != nil || parsed.Header.Get("Bcc") != "" {
		t.Errorf("a header was smuggled in: %v %v", parsed.Header, err)
	}
}

func TestMessagesNeverSwapUnderConcurrency(t *testing.T) {
	t.Parallel()
	const many = 100
	srv := serve(t, script{})
	s := sender(t, srv, "smtp")
	var wg sync.WaitGroup
	for n := range many {
		wg.Go(func() {
			if _, err := s.Send(t.Context(), outgoing(n)); err != nil {
				t.Errorf("mail %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	got := map[string]bool{}
	for _, m := range srv.took() {
		var n int
		if _, err := fmt.Sscanf(m.to, "RCPT TO:<pat%d@customer.example>", &n); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(m.data, fmt.Sprintf("code%06d", n)) || !strings.Contains(m.data, fmt.Sprintf("<att_%d@", n)) {
			t.Errorf("recipient %d got another's mail", n)
		}
		got[m.to] = true
	}
	if len(got) != many {
		t.Errorf("%d recipients were reached, want %d", len(got), many)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	from := func(p *smtp.Params) { p.From.Email = secret.New("connect@brand.example") }
	srv := serve(t, script{})
	if err := sender(t, srv, "smtp", from).Check(t.Context()); err != nil {
		t.Error(err)
	}
	srv.waitFor("QUIT")
	if srv.saw("DATA") || srv.saw("RCPT") {
		t.Error("a check must not send")
	}
	bad := serve(t, say("AUTH", "535 5.7.8 no"))
	if se := refused(t, sender(t, bad, "smtp", from).Check(t.Context())); se.ProviderCode != "535 5.7.8" {
		t.Errorf("%v", se)
	}
	if err := sender(t, srv, "smtp").Check(t.Context()); err == nil {
		t.Error("a check without a sender passed")
	}
}

func TestWhatItSaysOfItself(t *testing.T) {
	t.Parallel()
	s, err := smtp.New(smtp.Params{URL: secret.New("smtps://u:" + password + "@mail.brand.example")})
	if err != nil {
		t.Fatal(err)
	}
	if s.Provider() != "smtp" || !strings.HasPrefix(s.Account(), "smtp:") || s.Proof() != (provider.Proof{}) {
		t.Errorf("%s %s %+v", s.Provider(), s.Account(), s.Proof())
	}
	if _, err := s.Find(t.Context(), provider.Sought{}); !errors.Is(err, provider.ErrCannotFind) {
		t.Errorf("find: %v", err)
	}
	for _, bad := range []string{"", "mail.brand.example", "http://u:" + password + "@h", "smtp://u:" + password + "@h:x\x7f"} {
		if _, err := smtp.New(smtp.Params{URL: secret.New(bad)}); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
