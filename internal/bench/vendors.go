package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loadDomain marks the recipients of a measurement; the number before it
// identifies the request of a mail.
const loadDomain = "@load.example"

// stubVendors are Pipedream and SendGrid on one loopback listener, with as
// little work as possible: they share two cores with the measured program.
// net/http's server would cost more than the answers.
type stubVendors struct {
	listener net.Listener
	delay    atomic.Int64 // before a mail is answered, as time.Duration
	sent     atomic.Int64
	doubled  atomic.Int64
	firstAt  atomic.Int64 // Unix nanoseconds of the first mail
	lastAt   atomic.Int64 // and of the last
	minted   atomic.Int64

	mu      sync.RWMutex
	arrived []atomic.Int64 // by the recipient's number: Unix nanoseconds of the call
}

func startVendors() (*stubVendors, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &stubVendors{listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go v.serve(c)
		}
	}()
	return v, nil
}

func (v *stubVendors) close() { _ = v.listener.Close() }

func (v *stubVendors) url() string { return "http://" + v.listener.Addr().String() }

// expect makes room for n recipients and forgets what came before.
func (v *stubVendors) expect(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.arrived = make([]atomic.Int64, n)
	v.sent.Store(0)
	v.doubled.Store(0)
	v.firstAt.Store(0)
}

// at is when the provider was called for a recipient; false when it was not.
func (v *stubVendors) at(number int) (time.Time, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := v.arrived[number].Load()
	return time.Unix(0, n), n != 0
}

func (v *stubVendors) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	var body bytes.Buffer
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body.Reset()
		if _, err := io.Copy(&body, req.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, v.answer(req.URL.Path, body.Bytes())); err != nil {
			return
		}
	}
}

func (v *stubVendors) answer(path string, body []byte) string {
	switch {
	case strings.HasSuffix(path, "/mail/send"):
		v.took(body)
		if d := v.delay.Load(); d > 0 {
			time.Sleep(time.Duration(d)) // the vendor's delay is the measured quantity
		}
		return "HTTP/1.1 202 Accepted\r\nX-Message-Id: m" + strconv.FormatInt(v.sent.Load(), 10) + "\r\nContent-Length: 0\r\n\r\n"
	case strings.HasSuffix(path, "/oauth/token"):
		return jsonAnswer(`{"access_token":"stub","token_type":"Bearer","expires_in":3600}`)
	case strings.HasSuffix(path, "/tokens"):
		token := "ctok_" + strconv.FormatInt(time.Now().UnixNano(), 16) + strconv.FormatInt(v.minted.Add(1), 16)
		return jsonAnswer(`{"token":"` + token + `","expires_at":"` + time.Now().Add(4*time.Hour).UTC().Format(time.RFC3339Nano) +
			`","connect_link_url":"https://pipedream.com/_static/connect.html?token=` + token + `&connectLink=true"}`)
	case strings.Contains(path, "/apps/"):
		return jsonAnswer(`{"data":{"id":"app_1","name_slug":"slack","name":"Slack","auth_type":"oauth","img_src":"https://a.example/l.png"}}`)
	}
	return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
}

func jsonAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// took records which recipient a mail is for.
func (v *stubVendors) took(body []byte) {
	now := time.Now().UnixNano()
	v.firstAt.CompareAndSwap(0, now)
	v.lastAt.Store(now)
	v.sent.Add(1)
	end := bytes.Index(body, []byte(loadDomain))
	start := end
	for start > 0 && body[start-1] >= '0' && body[start-1] <= '9' {
		start--
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if n, err := strconv.Atoi(string(body[max(start, 0):max(end, 0)])); err == nil && n < len(v.arrived) {
		if !v.arrived[n].CompareAndSwap(0, now) {
			v.doubled.Add(1)
		}
	}
}
