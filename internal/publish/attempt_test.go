package publish_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestBackendAnAnswerSaysWhenToComeBackOrNotToComeBack: Retry-After was not read,
// and 410 was tried again for two days.
func TestBackendAnAnswerSaysWhenToComeBackOrNotToComeBack(t *testing.T) {
	t.Parallel()
	k := tracktest.New(t)
	var answer func(http.ResponseWriter)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	t.Cleanup(endpoint.Close)
	project := func(id string) (config.Project, bool) {
		return config.Project{ID: id, Webhook: &config.Webhook{URL: endpoint.URL, Secret: access.NewWebhookSecret()}}, true
	}
	m := k.Invite(tracktest.Options{})
	event := job.Publish{EventID: invite.New[invite.EventID](), InviteID: m.ID, Type: "invite.connect_failed", Version: 2}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	courier := publish.NewCourier(publish.Params{
		DB: k.Pool, Box: k.Box, Project: project, AllowPrivate: true, Now: func() time.Time { return now },
	})
	for name, c := range map[string]struct {
		status int
		after  string
		pause  time.Duration
		final  bool
	}{
		"seconds":             {429, "30", 30 * time.Second, false},
		"seconds with spaces": {503, " 120 ", 2 * time.Minute, false},
		"a date":              {503, now.Add(time.Hour).Format(http.TimeFormat), time.Hour, false},
		"longer than a day":   {429, "864000", 24 * time.Hour, false},
		"a date of the past":  {503, now.Add(-time.Hour).Format(http.TimeFormat), 0, false},
		"negative":            {503, "-5", 0, false},
		"nonsense":            {503, "soon", 0, false},
		"no header":           {503, "", 0, false},
		"of another answer":   {500, "30", 0, false},
		"gone":                {410, "30", 0, true},
		"not found":           {404, "", 0, false},
		"moved":               {302, "", 0, false},
		"not modified":        {304, "", 0, false},
	} {
		answer = func(w http.ResponseWriter) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
		}
		err := courier.HandOver(t.Context(), event, now)
		var failed *publish.AttemptError
		if !errors.As(err, &failed) {
			t.Fatalf("%s: %v", name, err)
		}
		if failed.Status != c.status || failed.RetryAfter != c.pause || failed.IsFinal() != c.final {
			t.Errorf("%s: status %d, pause %v, final %t; want %d, %v, %t", name, failed.Status, failed.RetryAfter, failed.IsFinal(), c.status, c.pause, c.final)
		}
	}
}
