package sandbox_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
)

// BenchmarkTake is what a load test of the product costs on this side: one
// mail taken, its fate and its two events included as far as Run keeps up.
func BenchmarkTake(b *testing.B) {
	keys, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		b.Fatal(err)
	}
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	s, err := sandbox.New(b.Context(), sandbox.Params{
		DB: postgrestest.Pool(b), Box: box, Log: slog.New(slog.DiscardHandler),
		PublicURL: "http://127.0.0.1/sandbox", CallbackURL: hook.URL, Pace: 10 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	vendors := s.Vendors()
	const body = `{"personalizations":[{"to":[{"email":"pat@customer.example"}],"custom_args":{"cl_invite":"inv_1","cl_attempt":"att_1"}}],
		"from":{"email":"a@b.example"},"subject":"s","content":[{"type":"text/plain","value":"x"}]}`
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("POST", "/sendgrid/v3/mail/send", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+s.Credentials().SendGridAPIKey.Reveal())
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			vendors.ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				b.Errorf("answered %d", w.Code)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
