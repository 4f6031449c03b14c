package main_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	bombs = 60
	// bombInflated is just below what a post may inflate to.
	bombInflated = 8<<20 - 1
	// bombAllowance is what all of them together may raise the memory by.
	bombAllowance = 64 << 20
)

// TestSecurityF3CompressedPostsRaiseMemoryLittle: posts of mail events at once, which inflate
// to 8 MiB each and together to many times the allowance, with signatures of no form, and with
// well-formed ones of now by another key.
func TestSecurityF3CompressedPostsRaiseMemoryLittle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector has memory of its own")
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), bombInflated))
	_ = z.Close()
	// Padded, as in the finding: both the sent bytes and the inflated bytes
	// count.
	body := append(packed.Bytes(), make([]byte, max(0, 204_000-packed.Len()))...)

	now := strconv.FormatInt(time.Now().Unix(), 10)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(now))
	foreign, err := ecdsa.SignASN1(rand.Reader, stranger, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signature, stamp string
		chunked          bool
	}{
		"no signature's form":                   {"x", "1", false},
		"well-formed, of now":                   {base64.StdEncoding.EncodeToString(foreign), now, false},
		"well-formed, of now, without a length": {base64.StdEncoding.EncodeToString(foreign), now, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServe(t, deployment(t, ""))
			before := anonymous(t, s.cmd.Process.Pid)
			peak := watchMemory(t, s.cmd.Process.Pid)
			client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: bombs}}
			var wg sync.WaitGroup
			for range bombs {
				wg.Go(func() {
					var r bombReader = bytes.NewReader(body)
					if c.chunked {
						r = struct{ bombReader }{r} // of a type whose length net/http does not know
					}
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hooks/sendgrid/default/test", r)
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Content-Encoding", "gzip")
					req.Header.Set("X-Twilio-Email-Event-Webhook-Signature", c.signature)
					req.Header.Set("X-Twilio-Email-Event-Webhook-Timestamp", c.stamp)
					resp, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("answered %d", resp.StatusCode)
					}
				})
			}
			wg.Wait()
			most := peak()
			t.Logf("anonymous memory: %d MiB before, %d MiB at most", before>>20, most>>20)
			if most-before > bombAllowance {
				t.Errorf("%d posts raised memory by %d MiB", bombs, (most-before)>>20)
			}
			s.interrupt()
		})
	}
}

type bombReader interface{ Read([]byte) (int, error) }

// anonymous reads a process's anonymous memory in bytes.
func anonymous(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("the process has no RssAnon")
	return 0
}

// watchMemory samples a process's memory; the function it returns stops that and
// returns the highest sample.
func watchMemory(t *testing.T, pid int) func() int64 {
	t.Helper()
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				most <- peak
				return
			case <-tick.C:
				peak = max(peak, anonymous(t, pid))
			}
		}
	}()
	return func() int64 { close(stop); return <-most }
}

// signIns is how many passwords are tried at once.
const signIns = 40

// TestSecurityF3SignInsRaiseMemoryLittle: 40 wrong passwords at once from 40 addresses.
// Each comparison takes 19 MiB; were they compared side by side, they would take
// 760.
func TestSecurityF3SignInsRaiseMemoryLittle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector has memory of its own")
	}
	s := startServe(t, deployment(t, "").with(vars{"CONNECTLINK_TRUSTED_PROXIES": "127.0.0.1"}))
	before := anonymous(t, s.cmd.Process.Pid)
	peak := watchMemory(t, s.cmd.Process.Pid)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: signIns}}
	var compared atomic.Int64
	var wg sync.WaitGroup
	for i := range signIns {
		wg.Go(func() {
			form := url.Values{"login": {fmt.Sprintf("sam%d@northwind.example", i)}, "password": {"wrong horse battery staple"}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/console/sign-in", strings.NewReader(form.Encode()))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i+1))
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusUnauthorized:
				compared.Add(1)
			case http.StatusServiceUnavailable: // the queue, or the request's time on a slow machine
			default:
				t.Errorf("answered %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	most := peak()
	t.Logf("anonymous memory: %d MiB before, %d MiB at most; %d of %d passwords compared", before>>20, most>>20, compared.Load(), signIns)
	if most-before > bombAllowance {
		t.Errorf("%d sign-ins raised memory by %d MiB", signIns, (most-before)>>20)
	}
	if compared.Load() < 2 {
		t.Errorf("%d passwords were compared", compared.Load())
	}
	s.interrupt()
}

// TestSecurityF3BodiesOfAnyKindRaiseMemoryLittle: 200 posts at once by strangers, as
// large as each door takes or larger.
func TestSecurityF3BodiesOfAnyKindRaiseMemoryLittle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector has memory of its own")
	}
	s := startServe(t, deployment(t, ""))
	body := bytes.Repeat([]byte("a"), 1<<20)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: 200}}
	for _, path := range []string{
		"/v1/invites", "/v1/invites/batch", "/hooks/sendgrid/default/test", "/hooks/twilio/default/test", "/console/sign-in", "/console/sign-in/code",
		"/console/sign-in/logout", "/c/AAAAAAAAAAAAAAAAAAAA", "/done/AAAAAAAAAAAAAAAAAAAA",
	} {
		before := anonymous(t, s.cmd.Process.Pid)
		peak := watchMemory(t, s.cmd.Process.Pid)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				resp, err := client.Do(req)
				if err != nil {
					return // a door that refuses the length may hang up before the body is sent
				}
				_ = resp.Body.Close()
				if resp.StatusCode < 400 || resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s answered %d", path, resp.StatusCode)
				}
			})
		}
		wg.Wait()
		most := peak()
		t.Logf("%s: %d MiB before, %d MiB at most", path, before>>20, most>>20)
		if most-before > bombAllowance {
			t.Errorf("%s: 200 posts raised memory by %d MiB", path, (most-before)>>20)
		}
	}
	s.interrupt()
}
