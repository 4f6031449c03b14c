package app_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// exchange writes bytes to a connection of its own and reads every answer until
// the server closes. With cut, the sending side is closed after the bytes.
func (p *product) exchange(t *testing.T, sent string, cut bool) (statuses []int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// The server may close before it has read everything; its answer counts.
	_, _ = io.WriteString(conn, sent)
	if cut {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	for answers := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
}

// TestFuzzRawRequestsOnASocket sends what no client library sends. next is the
// status of the request that follows on the same connection, 0 where the server
// must close because it cannot know where that request begins.
func TestFuzzRawRequestsOnASocket(t *testing.T) {
	t.Parallel()
	p := start(t, boot{}).scoped("invites:write", "invites:read", "suppressions")
	const follows = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	head := "Host: x\r\nAuthorization: Bearer " + p.key + "\r\nContent-Type: application/json\r\n"
	const body = `{"external_user_id":"u1","app":"slack","channel":"link"}`
	_, _, block := p.call("POST", "/v1/suppressions", object{"email": "jo@customer.example", "reason": "Asked"})
	lift := "DELETE /v1/suppressions/" + block.text("id") + " HTTP/1.1\r\n"
	for _, c := range []struct {
		name, sent  string
		first, next int // 0: any status below 500; for next: none
	}{
		{"a chunked body", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n38\r\n" + body + "\r\n0\r\n\r\n", 201, 200},
		{"a chunked body with extensions and trailers", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n38;a=b\r\n" + body + "\r\n0\r\nX: 1\r\n\r\n", 201, 200},
		{"a chunk size that is no number", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n", 400, 0},
		{"a chunk size below zero", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + body + "\r\n0\r\n\r\n", 400, 0},
		{"a chunk size past 64 bits", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + body + "\r\n0\r\n\r\n", 400, 0},
		{"a chunk longer than its size", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + body + "\r\n0\r\n\r\n", 400, 0},
		{"a body that breaks off", "POST /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 500\r\n\r\n" + body, 0, 0},
		{"no length", "POST /v1/invites HTTP/1.1\r\n" + head + "\r\n", 400, 200},
		{"a length of 0", "POST /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 0\r\n\r\n", 400, 200},
		{"a length that is no number", "POST /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 5x\r\n\r\n" + body, 400, 0},
		{"a length below zero", "POST /v1/invites HTTP/1.1\r\n" + head + "Content-Length: -5\r\n\r\n" + body, 400, 0},
		{"two lengths that differ", "POST /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 56\r\nContent-Length: 5\r\n\r\n" + body, 400, 0},
		{"an unknown transfer encoding", "POST /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n", 0, 0},
		{"a GET with a body", "GET /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 56\r\n\r\n" + body, 200, 200},
		{"a GET with a chunked body", "GET /v1/invites HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n38\r\n" + body + "\r\n0\r\n\r\n", 200, 200},
		{"a HEAD with a body", "HEAD /livez HTTP/1.1\r\n" + head + "Content-Length: 56\r\n\r\n" + body, 0, -1},
		{"a DELETE with a body", lift + head + "Content-Length: 14\r\n\r\n" + `{"reason":"x"}`, 200, 200},
		{"a DELETE without a body", lift + head + "\r\n", 200, 0}, // the answer says Connection: close, see package web
		{"a refused method with a body", "PUT /v1/invites HTTP/1.1\r\n" + head + "Content-Length: 56\r\n\r\n" + body, 405, 200},
		{"an unknown path with a body", "POST /v1/nothing HTTP/1.1\r\n" + head + "Content-Length: 56\r\n\r\n" + body, 404, 200},
		{"no key, with a body", "POST /v1/invites HTTP/1.1\r\nHost: x\r\nContent-Length: 56\r\n\r\n" + body, 401, 200},
		{"no host", "GET /livez HTTP/1.1\r\n\r\n", 400, 0},
		{"two hosts", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 0},
		{"a space before the colon", "GET /livez HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400, 0},
		{"NUL in a header", "GET /livez HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400, 0},
		{"NUL in a path", "GET /v1/invites/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
		{"a bad escape in a path", "GET /c/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
		{"an absolute address", "GET http://elsewhere.example/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200, 200},
		{"the asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 0, 200},
		{"CONNECT", "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n", 0, -1},
		{"HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", 200, 0},
		{"HTTP/9.9", "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n", 0, 0},
		{"no version", "GET /livez\r\n\r\n", 400, 0},
		{"HTTP/2 without being asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 0},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x01", 200) + "\r\n\r\n", 0, 0},
		{"a header of 2 MB", "GET /livez HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", 0, 0},
		{"ten thousand headers", "GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 10_000) + "\r\n", 0, -1},
		{"a form that is chunked", "POST /c/aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfrom=1\r\n0\r\n\r\n", 404, 200},
		{"a form that breaks off", "POST /s/aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 90\r\n\r\nfrom=1", 0, 0},
		{"a callback with a malformed chunk", "POST /hooks/sendgrid/default/test HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n[]\r\n0\r\n\r\n", 400, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := p.exchange(t, c.sent+follows, strings.Contains(c.name, "breaks off"))
			for _, status := range got {
				// 503 tells a client that closed its sending side to try again.
				isExpected := status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported || status == http.StatusServiceUnavailable && strings.Contains(c.name, "breaks off")
				if status >= 500 && !isExpected || status == http.StatusOK && strings.Contains(c.name, "breaks off") {
					t.Errorf("answered %v", got)
				}
			}
			if c.first != 0 && (len(got) == 0 || got[0] != c.first) {
				t.Errorf("answered %v, want %d first", got, c.first)
			}
			switch {
			case c.next < 0: // how many answers come is not fixed
			case c.next == 0 && len(got) > 1:
				t.Errorf("answered %v: took the rest of a broken request for another one", got)
			case c.next > 0 && (len(got) != 2 || got[1] != c.next):
				t.Errorf("answered %v: the request that follows was lost", got)
			}
		})
	}
	// A length beside chunks is how a request is hidden from a proxy: it may not be
	// taken, or only with the connection's end after it (RFC 9112, section 6.3).
	if got := p.exchange(t, "POST /v1/invites HTTP/1.1\r\n"+head+"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+follows, false); len(got) == 0 || got[0] >= 500 {
		t.Errorf("length and chunks: %v", got)
	}
}
