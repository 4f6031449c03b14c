package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/connectlink/connectlink/client"
)

// stub answers as the service's OpenAPI document says: one user's invites, which
// connect when they are read a second time. It is an http.RoundTripper, so that tests need no
// network and their pauses take no time in a bubble of testing/synctest.
type stub struct {
	mu      sync.Mutex
	invites []map[string]any
	byKey   map[string]map[string]any
	reads   map[string]int
	asked   []asked
	// fail answers instead of the service, if it returns true.
	fail func(w http.ResponseWriter, n int) bool
}

// asked is what a request carried.
type asked struct{ method, path, query, key, authorization, body string }

func newStub() *stub { return &stub{byKey: map[string]map[string]any{}, reads: map[string]int{}} }

// client returns a Client of the stub.
func (s *stub) client() *client.Client {
	c, err := client.New(client.Params{URL: "https://connect.acme.example", Key: "cl_test_key", HTTP: &http.Client{Transport: s}})
	if err != nil {
		panic(err) // the parameters are constants
	}
	return c
}

// RoundTrip implements http.RoundTripper.
func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	s.asked = append(s.asked, asked{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), string(body)})
	w := httptest.NewRecorder()
	if s.fail == nil || !s.fail(w, len(s.asked)) {
		s.serve(w, r, body)
	}
	if w.Code == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/invites/"), "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/invites":
		s.create(w, r, body)
	case r.URL.Path == "/v1/invites/search":
		s.search(w, body)
	default:
		for _, inv := range s.invites {
			if inv["id"] == id {
				s.reads[id]++
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					inv["status"] = "revoked"
				} else if s.reads[id] > 1 && inv["status"] == "active" {
					inv["status"], inv["progress"] = "connected", "continued"
					inv["connection"] = map[string]any{"account_id": "apn_1", "name": "Pat", "connected_at": "2026-11-28T09:31:10Z", "mismatch": false}
				}
				write(w, http.StatusOK, inv)
				return
			}
		}
		problem(w, http.StatusNotFound, "invite_not_found", "No invite has this id.", "")
	}
}

func (s *stub) create(w http.ResponseWriter, r *http.Request, body []byte) {
	key := r.Header.Get("Idempotency-Key")
	if inv, ok := s.byKey[key]; ok {
		write(w, http.StatusCreated, inv)
		return
	}
	var in struct {
		User string `json:"external_user_id"`
		App  string `json:"app"`
	}
	if json.Unmarshal(body, &in) != nil || in.User == "" {
		problem(w, http.StatusUnprocessableEntity, "invalid_request", "1 field is at fault.",
			`,"errors":[{"pointer":"/external_user_id","code":"required","detail":"is missing"}]`)
		return
	}
	inv := map[string]any{
		"id": fmt.Sprintf("inv_%026d", len(s.invites)+1), "object": "invite", "status": "active", "progress": "none",
		"external_user_id": in.User, "app": map[string]any{"slug": in.App, "name": "Slack", "logo_url": nil},
		"version": 1, "created_at": "2026-11-28T09:30:00Z", "updated_at": "2026-11-28T09:30:00Z",
	}
	s.invites, s.byKey[key] = append(s.invites, inv), inv
	write(w, http.StatusCreated, inv)
}

// search has pages of two.
func (s *stub) search(w http.ResponseWriter, body []byte) {
	var in struct{ Cursor string }
	_ = json.Unmarshal(body, &in)
	from := 0
	_, _ = fmt.Sscan(in.Cursor, &from)
	to := min(from+2, len(s.invites))
	list := map[string]any{"object": "list", "data": s.invites[from:to], "has_more": to < len(s.invites), "next_cursor": nil}
	if to < len(s.invites) {
		list["next_cursor"] = fmt.Sprint(to)
	}
	write(w, http.StatusOK, list)
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, code, detail, more string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"/docs/errors/%s","title":"","status":%d,"detail":%q,"instance":"/","code":%q,"request_id":"req_1","retryable":%t%s}`,
		code, status, detail, code, status == 429 || status == 503 || code == "idempotency_in_progress", more)
}
