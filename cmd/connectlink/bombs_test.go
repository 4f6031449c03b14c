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
	"os"
	"strconv"
	"strings"
	"sync"
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
