package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// leakedClients is how many connections ask with the leaked key, each as fast as it is
// answered.
const leakedClients = 48

// leaked: the creates of an honest key at 20 a second, alone and beside a leaked key
// that asks for messages to one person far beyond the limits, over HTTP.
func (r *rig) leaked(ctx context.Context, b *Benchmark, round int) error {
	made, err := r.service.command(ctx, "keys", "create", "--name", fmt.Sprint("leaked ", round), "--live", "--json")
	if err != nil {
		return err
	}
	var key struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal(made, &key); err != nil {
		return err
	}
	s, err := r.service.start(ctx, r.dir, roleAll)
	if err != nil {
		return err
	}
	defer s.stop()
	honest := func() (trialled, error) {
		return r.offer(ctx, s, roleAPI, load{clients: 8, rate: 20, length: r.options.Length})
	}
	var alone, beside trialled
	var attack outcome
	err = inTurn(round,
		func() error {
			_, err := honest() // warm, as beside the leaked key
			if err == nil {
				alone, err = r.metered(ctx, s, b, "honest key alone", honest)
			}
			return err
		},
		func() error {
			attacking, stop := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() {
				var err error
				attack, err = load{
					base: s.base, clients: leakedClients, length: time.Hour, status: http.StatusTooManyRequests,
					request: func(n int) []byte { return leakedRequest(key.Key, n) },
				}.run(attacking)
				done <- err
			}()
			// The refusals that a key has at once are over in a moment; a leaked key goes on for hours.
			_, err := honest()
			if err == nil {
				beside, err = r.metered(ctx, s, b, "honest and leaked key", honest)
			}
			stop()
			if stopped := <-done; stopped != nil && !errors.Is(stopped, context.Canceled) {
				err = errors.Join(err, stopped)
			}
			return err
		})
	if err != nil {
		return err
	}
	b.add("honest p99 alone", "ms", ms(alone.latency(0.99)))
	b.add("honest p99 beside the leaked key", "ms", ms(beside.latency(0.99)))
	b.add("honest p99 beside ÷ alone", "", float64(beside.latency(0.99))/float64(max(alone.latency(0.99), 1))).hold(2, 1.2, true)
	n := len(attack.accepted)
	for _, of := range attack.refused {
		n += of
	}
	b.add("answers to the leaked key", "/s", float64(n)/attack.took.Seconds())
	return nil
}

// metered offers a load and adds its cost.
func (r *rig) metered(ctx context.Context, s *process, b *Benchmark, of string, offer func() (trialled, error)) (trialled, error) {
	m, err := r.newMeter(ctx, s.cmd.Process.Pid)
	if err != nil {
		return trialled{}, err
	}
	out, err := offer()
	if err != nil {
		return trialled{}, err
	}
	if err := m.pause(ctx); err != nil {
		return trialled{}, err
	}
	used, err := m.finish(ctx, len(out.accepted))
	b.use(of, used, true)
	return out, err
}

// leakedRequest asks for a message to the same person each time.
func leakedRequest(key string, n int) []byte {
	body := `{"external_user_id":"victim","app":"slack","channel":"email","recipient":{"email":"victim` + loadDomain + `"}}`
	return httpRequest("POST /v1/invites", key, fmt.Sprintf("Idempotency-Key: leaked-%d\r\n", n), body)
}
