package smtp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Provider is this edge's name in attempts, metrics and errors.
const Provider = "smtp"

// Params configures a Sender.
type Params struct {
	// URL is smtps://user:password@host:465 (TLS from the first byte) or
	// smtp://user:password@host:587 (STARTTLS). User and password may be
	// absent, and so may the port.
	URL secret.Text
	// From and ReplyTo are used where a message names none.
	From    message.Address
	ReplyTo secret.Text
	// Timeout bounds a whole call, as the context's own deadline does. Default 20 s.
	Timeout time.Duration
	// RootCAs vouch for the server. Default: the system's.
	RootCAs *x509.CertPool
	Now     func() time.Time // default time.Now; also the clock of the lease guard
}

// Sender sends mail. It is safe for concurrent use.
type Sender struct {
	p        Params
	host     string // for the certificate and for AUTH
	addr     string
	implicit bool // TLS from the first byte
	loopback bool // by its name; the connection must agree
	user     string
	password secret.Text
	account  string
}

// errURL does not quote the URL: it carries the password.
var errURL = errors.New("want smtps://user:password@host:465 or smtp://user:password@host:587")

// New makes a Sender. The error says nothing of the URL's content.
func New(p Params) (*Sender, error) {
	u, err := url.Parse(p.URL.Reveal())
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return nil, errURL
	}
	if p.Timeout <= 0 {
		p.Timeout = 20 * time.Second
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	s := &Sender{p: p, host: u.Hostname(), implicit: u.Scheme == "smtps", loopback: isLoopback(u.Hostname())}
	port := u.Port()
	switch {
	case port != "":
	case s.implicit:
		port = "465"
	default:
		port = "587"
	}
	s.addr = net.JoinHostPort(s.host, port)
	if u.User != nil {
		s.user = u.User.Username()
		password, _ := u.User.Password()
		s.password = secret.New(password)
	}
	sum := sha256.Sum256([]byte("smtp account\x00" + s.addr + "\x00" + s.user))
	s.account = Provider + ":" + hex.EncodeToString(sum[:6])
	return s, nil
}

func isLoopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.p.RootCAs, MinVersion: tls.VersionTLS12}
}

// Provider returns "smtp".
func (s *Sender) Provider() string { return Provider }

// Identity is empty: replies reach a mailbox.
func (s *Sender) Identity() provider.Identity { return provider.Identity{} }

// Account is the same for all senders with one login at one server.
func (s *Sender) Account() string { return s.account }

// Proof says that nothing can be proved: SMTP has no receipts that reach us.
func (s *Sender) Proof() provider.Proof { return provider.Proof{} }

// Find implements the question for a lost answer, which SMTP cannot be asked.
func (s *Sender) Find(context.Context, provider.Sought) (provider.Found, error) {
	return provider.Found{}, provider.ErrCannotFind
}

// Send hands one mail to the server. The error is always a *provider.SendError.
// The receipt's id is the mail's Message-ID, which the server's own logs show.
func (s *Sender) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	mail, err := s.compose(m)
	if err != nil {
		return provider.Acceptance{}, classifyError(&provider.SendError{
			Provider: Provider, Outcome: provider.Refused, Scope: provider.ScopeMessage, ProviderCode: codeUnsendable, Err: err,
		})
	}
	ctx, cancel := context.WithTimeout(ctx, s.p.Timeout)
	defer cancel()
	d := &dialogue{s: s}
	defer d.end()
	if err := d.run(ctx, m.LeaseUntil, mail); err != nil {
		return provider.Acceptance{}, d.verdict(err)
	}
	return provider.Acceptance{ProviderMessageID: mail.id}, nil
}

// Check goes as far as naming the sender, and takes it back: it proves address,
// certificate, login and that the server lets this sender in; not that mail
// arrives. The error is a *provider.SendError.
func (s *Sender) Check(ctx context.Context) error {
	if s.p.From.Email.IsZero() {
		return errors.New(Provider + ": no sender address is configured")
	}
	ctx, cancel := context.WithTimeout(ctx, s.p.Timeout)
	defer cancel()
	d := &dialogue{s: s}
	defer d.end()
	if err := d.open(ctx, time.Time{}, s.p.From.Email.Reveal()); err != nil {
		return d.verdict(err)
	}
	d.stage = stageFrom
	if err := d.client.Mail(angleAddress(s.p.From.Email.Reveal())); err != nil {
		return d.verdict(err)
	}
	return nil
}

func (s *Sender) wire() wire.Params { return wire.Params{Now: s.p.Now} }
