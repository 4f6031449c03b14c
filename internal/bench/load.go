package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is a stream of requests.
type load struct {
	base     string
	clients  int
	rate     float64       // requests a second over all clients; 0: as fast as answers come
	length   time.Duration // of the run
	requests int           // at most so many; 0: no limit
	first    int           // number of the first request
	status   int           // of an answer that counts; 0: 201
	request  func(number int) []byte
}

// answered is one request that succeeded.
type answered struct {
	number int
	at     time.Time // when the answer was read
	took   time.Duration
}

// outcome is the result of a load.
type outcome struct {
	accepted []answered
	refused  map[int]int // by status
	took     time.Duration
}

func (o outcome) rate() float64 { return float64(len(o.accepted)) / o.took.Seconds() }

// refusedShare is the share of requests that got another status.
func (o outcome) refusedShare() float64 {
	n := 0
	for _, of := range o.refused {
		n += of
	}
	return float64(n) / float64(max(n+len(o.accepted), 1))
}

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

// run makes the requests. The time of paced requests counts from when they were
// due, so that a server that stalls cannot hide it by slowing its callers down.
func (l load) run(ctx context.Context) (outcome, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	out := outcome{refused: map[int]int{}}
	begun := time.Now()
	for range l.clients {
		wg.Go(func() {
			mine, refused, err := l.client(ctx, begun, &next)
			mu.Lock()
			defer mu.Unlock()
			out.accepted = append(out.accepted, mine...)
			for status, n := range refused {
				out.refused[status] += n
			}
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	out.took = time.Since(begun)
	if failed == nil && len(out.accepted) == 0 {
		failed = fmt.Errorf("no request succeeded; refused, by status: %v", out.refused)
	}
	return out, failed
}

// client is one connection's share. It writes bytes and reads answers itself:
// net/http's client would need as much of the machine as the server does.
func (l load) client(ctx context.Context, begun time.Time, next *atomic.Int64) (accepted []answered, refused map[int]int, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close() }()
	want := l.status
	if want == 0 {
		want = http.StatusCreated
	}
	r := bufio.NewReader(conn)
	refused = map[int]int{}
	for ctx.Err() == nil {
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
		if resp.StatusCode == want {
			accepted = append(accepted, answered{l.first + i, now, now.Sub(due)})
		} else {
			refused[resp.StatusCode]++
		}
	}
	return accepted, refused, context.Cause(ctx)
}

// createRequest is the create of a product: an idempotency key, a person, a sender.
func createRequest(key string, n int) []byte {
	body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"email","recipient":{"email":"%d%s","name":"Pat Example"},`+
		`"inviter":{"name":"Sam Rivera"},"reason":"So that your reports arrive in Slack.","metadata":{"order":"%d"}}`, n, n, loadDomain, n)
	return httpRequest("POST /v1/invites", key, fmt.Sprintf("Idempotency-Key: load-%d\r\n", n), body)
}

// httpRequest is a request in bytes. Header lines end with CRLF.
func httpRequest(route, key, header, body string) []byte {
	return fmt.Appendf(nil, "%s HTTP/1.1\r\nHost: connectlink\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"%sContent-Length: %d\r\n\r\n%s", route, key, header, len(body), body)
}
