package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a stream of creates.
type load struct {
	base, key string
	clients   int
	rate      float64       // requests a second over all clients; 0: as fast as answers come
	length    time.Duration // of the run
	requests  int           // at most so many; 0: no limit
	first     int           // number of the first recipient
}

// answered is one create.
type answered struct {
	number int
	at     time.Time // when the answer was there
	took   time.Duration
}

// outcome is what a load came to.
type outcome struct {
	accepted []answered
	refused  map[int]int // by status
	took     time.Duration
}

func (o outcome) rate() float64 { return float64(len(o.accepted)) / o.took.Seconds() }

// latency is a quantile of the time to an answer.
func (o outcome) latency(q float64) time.Duration {
	all := make([]time.Duration, len(o.accepted))
	for i, a := range o.accepted {
		all[i] = a.took
	}
	return quantile(all, q)
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(float64(len(all))*q), len(all)-1)]
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// run makes the requests. Paced requests count from when they were due, so
// that a server that stalls cannot hide it by slowing its callers down.
func (l load) run(b *testing.B) outcome {
	b.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := outcome{refused: map[int]int{}}
	begun := time.Now()
	for range l.clients {
		wg.Go(func() {
			mine, refused, err := l.client(begun, &next)
			mu.Lock()
			defer mu.Unlock()
			out.accepted = append(out.accepted, mine...)
			for status, n := range refused {
				out.refused[status] += n
			}
			if err != nil {
				b.Errorf("client: %v", err)
			}
		})
	}
	wg.Wait()
	out.took = time.Since(begun)
	return out
}

// client is one connection's share. It writes bytes and reads answers itself:
// net/http's client would need as much of the machine as the server does.
func (l load) client(begun time.Time, next *atomic.Int64) (accepted []answered, refused map[int]int, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	refused = map[int]int{}
	for {
		i := int(next.Add(1) - 1)
		due := time.Now()
		if l.rate > 0 {
			due = begun.Add(time.Duration(float64(i) / l.rate * float64(time.Second)))
			time.Sleep(time.Until(due)) // pacing
		}
		if due.Sub(begun) >= l.length || l.requests > 0 && i >= l.requests {
			return accepted, refused, nil
		}
		if _, err := conn.Write(l.request(l.first + i)); err != nil {
			return accepted, refused, err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return accepted, refused, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return accepted, refused, err
		}
		now := time.Now()
		if resp.StatusCode == http.StatusCreated {
			accepted = append(accepted, answered{l.first + i, now, now.Sub(due)})
		} else {
			refused[resp.StatusCode]++
		}
	}
}

// request is what a product would send: an idempotency key, a person, a sender.
func (l load) request(n int) []byte {
	body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"email","recipient":{"email":"%d%s","name":"Pat Example"},`+
		`"inviter":{"name":"Sam Rivera"},"reason":"So that your reports arrive in Slack.","metadata":{"order":"%d"}}`, n, n, loadDomain, n)
	return fmt.Appendf(nil, "POST /v1/invites HTTP/1.1\r\nHost: connectlink\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: load-%s-%d\r\nContent-Length: %d\r\n\r\n%s", l.key, l.base[len(l.base)-5:], n, len(body), body)
}
