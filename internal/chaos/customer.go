package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ask makes requests at the run's rate, by both channels in turn, until asking
// ends; each of them is then seen through.
func (r *outage) ask(ctx, asking context.Context) {
	tick := time.NewTicker(time.Second / time.Duration(r.o.Rate))
	defer tick.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	for n := 0; ; n++ {
		select {
		case <-asking.Done():
			return
		case <-tick.C:
		}
		under.Go(func() { r.customer(ctx, n) })
	}
}

// customer asks for one invite until it has it.
func (r *outage) customer(ctx context.Context, n int) {
	channel, recipient := "email", map[string]string{"email": fmt.Sprintf("pat.%d@customer.example", n), "name": "Pat Doe"}
	if n%2 == 1 {
		channel, recipient = "sms", map[string]string{"phone": fmt.Sprintf("+1212%07d", 2_000_000+n)}
	}
	body, err := json.Marshal(map[string]any{
		"external_user_id": fmt.Sprintf("user-%d", n), "app": "slack", "channel": channel, "recipient": recipient,
	})
	if err != nil {
		return
	}
	for try := 0; ctx.Err() == nil; try++ {
		if try > 0 {
			waitFor(ctx, 200*time.Millisecond)
		}
		if r.create(ctx, n, try, body) {
			return
		}
	}
}

// create makes one request and notes its answer; it reports whether that was the
// last.
func (r *outage) create(ctx context.Context, n, try int, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.program.base+"/v1/invites", newReader(body))
	if err != nil {
		return true
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("chaos-%d", n))
	asked := time.Now()
	resp, err := r.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			r.strange("no answer")
		}
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Link struct {
			URL string `json:"url"`
		} `json:"invite_link"`
		Code      string          `json:"code"`
		Retryable bool            `json:"retryable"`
		Errors    json.RawMessage `json:"errors"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		r.strange(fmt.Sprintf("%d without JSON", resp.StatusCode))
		return false
	}
	now := time.Now()
	switch {
	case resp.StatusCode < 300 && answer.Link.URL != "":
		r.acknowledge(answer.Link.URL, try > 0, asked, now)
		r.accepted(ctx, answer.Link.URL)
		return true
	case resp.StatusCode == http.StatusServiceUnavailable && answer.Retryable:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Refused++
		r.refusals = append(r.refusals, now.Sub(asked))
	default:
		r.strange(fmt.Sprintf("%d %s %s", resp.StatusCode, answer.Code, answer.Errors))
		return true // asking again would be no use
	}
	return false
}

// acknowledge notes an invite that was made.
func (r *outage) acknowledge(link string, again bool, asked, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if again {
		r.report.Replayed++
	}
	r.made, r.acks, r.asked = append(r.made, link), append(r.acks, now), append(r.asked, asked)
}

func (r *outage) strange(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Strange[what]++
}
