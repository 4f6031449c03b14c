package httpapi_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// stream is an open event stream.
type stream struct {
	t     *testing.T
	reply *http.Response
	lines *bufio.Reader
}

func (w *world) follow(t *testing.T, key secret.Text, last string) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/client/invite", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key.Reveal())
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &stream{t, resp, bufio.NewReader(resp.Body)}
}

// next is the next event's id and data; empty at the end.
func (s *stream) next() (id string, data map[string]any) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return "", nil
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			if value != "invite" {
				s.t.Errorf("an event %q", value)
			}
		case "data":
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				s.t.Fatal(err)
			}
			return id, data
		}
	}
}

func TestAnAppFollowsItsInviteToTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own := w.client(t, id)
	s := w.follow(t, own, "")
	if got := s.reply.Header.Get("Content-Type"); s.reply.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%d %s", s.reply.StatusCode, got)
	}
	at, data := s.next()
	if at != "a1" || data["status"] != "active" || data["progress"] != "none" || data["id"] != id {
		t.Fatalf("first %s %v", at, data)
	}
	w.visited(t, id)
	if at, data = s.next(); at != "a2" || data["progress"] != "visited" {
		t.Errorf("then %s %v", at, data)
	}
	w.happens(t, id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	at, data = s.next()
	if at != "a3" || data["status"] != "connected" || data["connection"] == nil {
		t.Errorf("in the end %s %v", at, data)
	}
	if at, _ := s.next(); at != "" {
		t.Errorf("after the end comes %s", at)
	}
	for _, private := range []string{"apn_1", "recipient", "external_user_id"} {
		if raw, _ := json.Marshal(data); strings.Contains(string(raw), private) {
			t.Errorf("the app is told %q", private)
		}
	}
	// Who comes back is told what they missed, and nothing twice.
	if at, _ := w.follow(t, own, "a2").next(); at != "a3" {
		t.Errorf("back with a2: %s", at)
	}
	if back := w.follow(t, own, "a3"); back.reply.StatusCode != http.StatusNoContent {
		t.Errorf("back with the last: %d", back.reply.StatusCode)
	}
	// The contract holds for a stream that ends.
	if r := w.call(t, own, "GET", "/v1/client/invite", "", "Accept: text/event-stream"); !strings.Contains(string(r.body), "\nid: a3\nevent: invite\ndata: {") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestASilentStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	s := w.follow(t, w.client(t, id), "a1")
	for alive := 0; alive < 3; {
		line, err := s.lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "data") {
			t.Fatalf("%q, %v before anything happened", line, err)
		}
		if strings.HasPrefix(line, ":") {
			alive++
		}
	}
	w.happens(t, id, invite.Event{Type: invite.EventRevoked})
	if at, data := s.next(); at != "a2" || data["status"] != "revoked" {
		t.Errorf("%s %v", at, data)
	}
}

func TestStreamsAndReadsOfOneTokenAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own, another := w.client(t, id), w.client(t, id)
	w.follow(t, own, "").next()
	w.follow(t, own, "").next()
	if s := w.follow(t, own, ""); s.reply.StatusCode != 429 || s.reply.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream: %d", s.reply.StatusCode)
	}
	var r reply
	for range readsAllowed {
		if r = w.call(t, own, "GET", "/v1/client/invite", ""); r.status != 200 {
			break
		}
	}
	if r.status != 429 || r.header.Get("Retry-After") == "" || r.at(t, "code") != "rate_limited" {
		t.Errorf("%d, Retry-After %q after too many reads", r.status, r.header.Get("Retry-After"))
	}
	if r := w.call(t, another, "GET", "/v1/client/invite", ""); r.status != 200 {
		t.Errorf("another token of the same invite: %d", r.status)
	}
}
