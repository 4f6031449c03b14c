package smtp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/connectlink/connectlink/internal/waittest"
)

// hangUp and silence are answers that are none.
const (
	hangUp  = "<hang up>"
	reset   = "<reset>"
	silence = "<silence>"
)

// script is the behaviour of a server. Answers are by verb; "." is the answer
// to the dot, "GREETING" the first line.
type script struct {
	answers  map[string]string
	without  []string // extensions it does not offer
	implicit bool     // TLS from the first byte
}

// server is a mail server on a real socket, written here: the client under test
// shares no line with it.
type server struct {
	t     *testing.T
	s     script
	addr  string
	roots *x509.CertPool
	cert  tls.Certificate

	mu    sync.Mutex
	mails []received
	conns int
	bytes int
	verbs []string
	at    chan struct{} // closed when the script falls silent
	once  sync.Once
}

type received struct {
	from, to, data string
	login          string
	secure         bool
}

func serve(t *testing.T, s script) *server {
	t.Helper()
	// A certificate for 127.0.0.1 and example.com that only roots trusts.
	web := httptest.NewTLSServer(http.NotFoundHandler())
	srv := &server{t: t, s: s, cert: web.TLS.Certificates[0], roots: x509.NewCertPool(), at: make(chan struct{})}
	srv.roots.AddCert(web.Certificate())
	web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.addr = l.Addr().String()
	var working sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		working.Wait()
	})
	working.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			srv.mu.Lock()
			srv.conns++
			srv.mu.Unlock()
			working.Go(func() { srv.talk(c) })
		}
	})
	return srv
}

func (s *server) answer(verb, usual string) string {
	if a, ok := s.s.answers[verb]; ok {
		return a
	}
	return usual
}

// say answers; false ends the conversation.
func (s *server) say(c net.Conn, verb, usual string) bool {
	switch a := s.answer(verb, usual); a {
	case hangUp:
		_ = c.Close()
		return false
	case reset:
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
		return false
	case silence:
		s.once.Do(func() { close(s.at) })
		_, _ = io.Copy(io.Discard, c)
		return false
	default:
		_, err := io.WriteString(c, a+"\r\n")
		return err == nil
	}
}

type tally struct {
	net.Conn
	s *server
}

func (c tally) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	c.s.bytes += n
	c.s.mu.Unlock()
	return n, err
}

func (s *server) talk(raw net.Conn) {
	defer func() { _ = raw.Close() }()
	conn := net.Conn(raw)
	in := bufio.NewReader(tally{raw, s})
	secure := s.s.implicit
	upgrade := func() bool {
		tc := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{s.cert}})
		if tc.Handshake() != nil {
			return false
		}
		conn, in = tc, bufio.NewReader(tally{tc, s})
		return true
	}
	if s.s.implicit && !upgrade() {
		return
	}
	if !s.say(conn, "GREETING", "220 mx.test ESMTP") {
		return
	}
	var m received
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		s.mu.Lock()
		s.verbs = append(s.verbs, verb)
		s.mu.Unlock()
		ok := true
		switch verb {
		case "EHLO":
			lines := []string{"mx.test"}
			for _, e := range []string{"STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME", "ENHANCEDSTATUSCODES"} {
				if !contains(s.s.without, e) && !(e == "STARTTLS" && secure) {
					lines = append(lines, e)
				}
			}
			var b strings.Builder
			for i, e := range lines {
				sep := "-"
				if i == len(lines)-1 {
					sep = " "
				}
				fmt.Fprintf(&b, "250%s%s\r\n", sep, e)
			}
			ok = s.say(conn, verb, strings.TrimSuffix(b.String(), "\r\n"))
		case "STARTTLS":
			if ok = s.say(conn, verb, "220 2.0.0 go ahead"); ok && !strings.HasPrefix(s.answer(verb, "220"), "220") {
				break
			}
			if ok {
				ok = upgrade()
				secure = ok
			}
		case "AUTH":
			m.login = line
			ok = s.say(conn, verb, "235 2.7.0 ok")
		case "MAIL":
			m.from, m.secure = line, secure
			ok = s.say(conn, verb, "250 2.1.0 ok")
		case "RCPT":
			m.to = line
			ok = s.say(conn, verb, "250 2.1.5 ok")
		case "DATA":
			if ok = s.say(conn, verb, "354 go on"); !ok || !strings.HasPrefix(s.answer(verb, "354"), "354") {
				break
			}
			var data strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if s.answer("CONTENT", "") != "" {
					ok = s.say(conn, "CONTENT", "")
					break
				}
				if l == ".\r\n" {
					break
				}
				data.WriteString(strings.TrimPrefix(l, "."))
			}
			if !ok {
				return
			}
			m.data = data.String()
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			ok = s.say(conn, ".", "250 2.0.0 Ok: queued as 4ABC")
		case "QUIT":
			return
		default:
			ok = s.say(conn, verb, "250 2.0.0 ok")
		}
		if !ok {
			return
		}
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if strings.HasPrefix(s, one) {
			return true
		}
	}
	return false
}

func (s *server) took() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

func (s *server) heard() (conns, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns, s.bytes
}

func (s *server) saw(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return contains(s.verbs, verb)
}

// said waits until the server has seen a verb.
func (s *server) waitFor(verb string) {
	s.t.Helper()
	waittest.Until(s.t, "the server heard "+verb, func() bool { return s.saw(verb) })
}
