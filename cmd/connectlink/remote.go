package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// maxAnswer is the maximum number of bytes read of a response.
const maxAnswer = 16 << 20

// remote names the service and the API key. The key has no flag, because every user of
// the machine can read command lines.
type remote struct {
	URL     string `help:"The service's address; defaults to $$CONNECTLINK_API_URL. The key comes from $$CONNECTLINK_API_KEY." placeholder:"URL"`
	Profile string `help:"Use this profile of connectlink login; defaults to $$CONNECTLINK_PROFILE, else the current one." placeholder:"NAME"`
}

const defaultAPI = "http://127.0.0.1:8080"

// call asks the API and prints what it answers, indented. A problem becomes
// the command's error and exit code. body nil sends none.
func (r remote) call(e *env, method, path string, body any, idempotencyKey string) error {
	raw, err := r.ask(e, method, path, body, idempotencyKey)
	if err != nil {
		return err
	}
	return printPretty(e, r.base(e), raw)
}

// maxRetryPause bounds how long ask waits before its second attempt.
const maxRetryPause = 30 * time.Second

// ask asks the API and returns the body of its answer, as request does.
func (r remote) ask(e *env, method, path string, body any, idempotencyKey string) ([]byte, error) {
	got, err := r.request(e, method, path, body, idempotencyKey)
	return got.body, err
}

// request asks the API and returns its answer. A problem that the service calls
// retryable is asked about once more, after the pause that it asks for.
func (r remote) request(e *env, method, path string, body any, idempotencyKey string) (answer, error) {
	key, err := r.key(e)
	if err != nil {
		return answer{}, err
	}
	base := r.base(e)
	for attempt := 1; ; attempt++ {
		got, err := askService(e, method, base+path, key, body, idempotencyKey)
		if err != nil {
			return answer{}, err
		}
		if got.status <= 299 {
			return got, nil
		}
		p := readProblem(got.body)
		if !p.Retryable || attempt > 1 || got.pause > maxRetryPause {
			return answer{}, problemError(base, got.status, got.body)
		}
		e.say("%s: %s Trying again in %d s.", p.Code, p.Detail, int(got.pause/time.Second))
		if err := pauseFor(e, got.pause); err != nil {
			return answer{}, err
		}
	}
}

// pauseFor waits, or returns why the command ends.
func pauseFor(e *env, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
}

// notThisService is the error of an answer that is not JSON.
func notThisService(base string) error {
	return fmt.Errorf("what answers at %s is not this service: it sent no JSON", base)
}

// decodeAnswer reads an answer of the service at base.
func decodeAnswer(base string, raw []byte, into any) error {
	if json.Unmarshal(raw, into) != nil {
		return notThisService(base)
	}
	return nil
}

// confirmLive asks before an act with a live key that cannot be undone; yes is the
// answer that was given beforehand.
func (r remote) confirmLive(e *env, yes bool, question string) error {
	key, err := r.key(e)
	if err != nil || yes || !isLiveKey(key) {
		return err
	}
	return r.confirm(e, question)
}

// confirm asks on the terminal, and says so if the key is a live one.
func (r remote) confirm(e *env, question string) error {
	t, err := r.target(e)
	if err != nil {
		return err
	}
	if isLiveKey(t.key) {
		where := t.base
		if t.profile != "" {
			where = "profile " + t.profile + ", " + where
		}
		question = "LIVE (" + where + "): " + question
	}
	return askConfirmation(e, question)
}

func isLiveKey(key secret.Text) bool { return strings.HasPrefix(key.Reveal(), "cl_live_") }

// printPretty prints an answer, indented.
func printPretty(e *env, base string, raw []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return notThisService(base)
	}
	out.WriteByte('\n')
	_, err := out.WriteTo(e.stdout)
	return err
}

// key is the API key.
func (r remote) key(e *env) (secret.Text, error) {
	t, err := r.target(e)
	return t.key, err
}

// base is the service's address, without a slash at the end; empty while the target
// is not known.
func (r remote) base(e *env) string {
	t, err := r.target(e)
	if err != nil {
		return ""
	}
	return t.base
}

// answer is what the service answered.
type answer struct {
	status int
	body   []byte
	pause  time.Duration // before another attempt; a second unless Retry-After says more
	at     time.Time     // by the service's clock, or by ours if it sends none
	budget budget
}

func askService(e *env, method, address string, key secret.Text, body any, idempotencyKey string) (answer, error) {
	resp, err := sendRequest(e, method, address, key, body, idempotencyKey)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		seconds = 1
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		at = time.Now()
	}
	return answer{resp.StatusCode, raw, time.Duration(seconds) * time.Second, at, readBudget(resp.Header.Values("RateLimit"))}, nil
}

// sendRequest asks, and leaves the answer to be read. body nil sends none; a zero key
// goes without.
func sendRequest(e *env, method, address string, key secret.Text, body any, idempotencyKey string) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(e.ctx, method, address, payload)
	if err != nil {
		return nil, usageError("the service's address is not a URL")
	}
	if !key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	client := &http.Client{
		Timeout: 30 * time.Second,
		// A redirect would turn a POST into a GET and be taken for an answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the service at %s://%s does not answer: %w", req.URL.Scheme, req.URL.Host, stripURL(err))
	}
	return resp, nil
}

// problem is what the service says is wrong.
type problem struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Retryable bool   `json:"retryable"`
	Errors    []struct {
		Pointer    string `json:"pointer"`
		Detail     string `json:"detail"`
		Suggestion string `json:"suggestion"`
	} `json:"errors"`
}

// readProblem returns the zero problem for an answer that is none.
func readProblem(raw []byte) problem {
	var p problem
	if json.Unmarshal(raw, &p) != nil {
		return problem{}
	}
	return p
}

// problemError makes an error of what the service says is wrong.
func problemError(base string, status int, raw []byte) error {
	p := readProblem(raw)
	if p.Code == "" {
		return fmt.Errorf("what answers at %s is not this service: it answered %d", base, status)
	}
	text := fmt.Sprintf("%s: %s (%s)", p.Code, p.Detail, p.RequestID)
	for _, f := range p.Errors {
		text += "\n  " + f.Pointer + ": " + f.Detail
		if f.Suggestion != "" {
			text += " (did you mean " + f.Suggestion + "?)"
		}
	}
	code := exitFailed
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		code = exitAuth
	case status == http.StatusNotFound:
		code = exitNotFound
	case status == http.StatusBadRequest || len(p.Errors) > 0:
		code = exitUsage
	}
	return &exitError{code, errors.New(text)}
}

// stripURL drops the URL from a transport error; its query may hold an address.
func stripURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
