package smtp

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/wire"
)

// stage is how far a dialogue has come.
type stage int

const (
	stageConnect stage = iota // and TLS, where it comes first
	stageGreeting
	stageHello
	stageTLS
	stageAuth
	stageFrom
	stageTo
	stageData    // the word DATA
	stageContent // headers and body
	stageEnd     // the dot
)

// dialogue is one connection with its state.
type dialogue struct {
	s      *Sender
	stream *wire.Stream
	client *smtp.Client
	stage  stage
	undo   func() bool // stops the end of the context from ending the connection
}

// The refusals that are ours: the server offers too little.
var (
	errNoTLS  = errors.New("the server does not offer STARTTLS, and it is not on this machine")
	errNoAuth = errors.New("the server offers no way to log in that is known here")
	errNoUTF8 = errors.New("the address is not ASCII, and the server does not take others")
)

// open connects and logs in, until ctx ends. Errors are as they come; verdict
// reads them.
func (d *dialogue) open(ctx context.Context, until time.Time, from string) error {
	s := d.s
	d.stage = stageConnect
	if err := ctx.Err(); err != nil {
		return err
	}
	stream, err := wire.Dial(ctx, s.wire(), s.addr, until)
	if err != nil {
		return err
	}
	d.stream = stream
	d.undo = context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })
	var conn net.Conn = stream
	if s.implicit {
		if conn, err = stream.Secure(ctx, s.tlsConfig(), s.p.Timeout); err != nil {
			return err
		}
	}
	d.stage = stageGreeting
	if d.client, err = smtp.NewClient(conn, s.host); err != nil {
		return err
	}
	d.stage = stageHello
	_, domain := contact.EmailParts(from)
	if err := d.client.Hello(domain); err != nil {
		return err
	}
	if !s.implicit {
		if err := d.startTLS(); err != nil {
			return err
		}
	}
	if s.user == "" {
		return nil
	}
	d.stage = stageAuth
	auth, err := d.auth()
	if err != nil {
		return err
	}
	return d.client.Auth(auth)
}

// startTLS encrypts the connection wherever the server offers it, and insists on
// it unless the server is on this machine. There the name on the certificate is
// not checked where no authorities are configured: Debian's mail servers come
// with one that is vouched for by nothing, and the alternative is plain text.
func (d *dialogue) startTLS() error {
	d.stage = stageTLS
	offered, _ := d.client.Extension("STARTTLS")
	config := d.s.tlsConfig()
	if !d.private() {
		if !offered {
			return errNoTLS
		}
		return d.client.StartTLS(config)
	}
	if !offered {
		return nil
	}
	config.InsecureSkipVerify = d.s.p.RootCAs == nil //nolint:gosec // loopback only: see above
	err := d.client.StartTLS(config)
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return nil // the server says that it cannot now, and goes on in plain text
	}
	return err
}

// private reports whether no third party can listen: the server's name is
// loopback, and the connection ends at the loopback interface.
func (d *dialogue) private() bool {
	to, ok := d.stream.RemoteAddr().(*net.TCPAddr)
	return d.s.loopback && ok && to.IP.IsLoopback()
}

// auth picks a mechanism. The connection is encrypted by now, or private, so
// the plain ones, which every server implements alike, come first.
func (d *dialogue) auth() (smtp.Auth, error) {
	_, offered := d.client.Extension("AUTH")
	names := strings.Fields(strings.ToUpper(offered))
	user, password := d.s.user, d.s.password.Reveal()
	clear := !d.s.implicit && d.private()
	switch {
	case slices.Contains(names, "PLAIN"):
		return smtp.PlainAuth("", user, password, d.s.host, clear), nil
	case slices.Contains(names, "LOGIN"):
		return smtp.LoginAuth(user, password, d.s.host, clear), nil
	case slices.Contains(names, "SCRAM-SHA-256"):
		return smtp.ScramSHA256Auth(user, password), nil
	case slices.Contains(names, "CRAM-MD5"):
		return smtp.CRAMMD5Auth(user, password), nil
	}
	return nil, errNoAuth
}

// run delivers one mail.
func (d *dialogue) run(ctx context.Context, until time.Time, m mail) error {
	err := d.open(ctx, until, m.from)
	if err == nil {
		err = d.hand(m)
	}
	return callerCause(ctx, err)
}

// callerCause names the caller's own impatience, which shows as a closed connection.
func callerCause(ctx context.Context, err error) error {
	var reply *textproto.Error
	if err == nil || errors.As(err, &reply) || errors.Is(err, wire.ErrLeaseOver) || ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

func (d *dialogue) hand(m mail) error {
	d.stage = stageFrom
	// Announced only where it is needed: the next server may not know it.
	d.client.SkipSMTPUTF8(!m.utf8)
	if ok, _ := d.client.Extension("SMTPUTF8"); m.utf8 && !ok {
		return errNoUTF8
	}
	if err := d.client.Mail(angleAddress(m.from)); err != nil {
		return err
	}
	d.stage = stageTo
	if err := d.client.Rcpt(angleAddress(m.to)); err != nil {
		return err
	}
	d.stage = stageData
	w, err := d.client.Data()
	if err != nil {
		return err
	}
	d.stage = stageContent
	if _, err := w.Write(m.raw); err != nil {
		// A server that rejects the content gives the reason before it hangs up.
		if _, _, said := d.client.Text.ReadResponse(250); said != nil {
			var reply *textproto.Error
			if errors.As(said, &reply) {
				return said
			}
		}
		return err
	}
	d.stage = stageEnd
	d.stream.Mark() // from here on the server may deliver
	err = w.Close()
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code/100 == 2 {
		return nil // another word for yes
	}
	return err
}

// end takes leave without waiting for the answer: what matters is settled.
func (d *dialogue) end() {
	if d.stream == nil {
		return
	}
	d.undo()
	if d.client != nil && !d.stream.LeaseOver() {
		_ = d.stream.SetDeadline(time.Now().Add(time.Second))
		_, _ = d.client.Text.Cmd("QUIT")
	}
	_ = d.stream.Close()
}

func angleAddress(address string) string { return "<" + address + ">" }
