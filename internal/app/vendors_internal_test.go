package app

import (
	"slices"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestWaysForEmailInTheirOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*config.Project)
		want   []string
	}{
		"both":          {func(*config.Project) {}, []string{"sendgrid", "smtp"}},
		"SendGrid only": {func(p *config.Project) { p.SMTPURL = secret.New("") }, []string{"sendgrid"}},
		"SMTP only":     {func(p *config.Project) { p.SendGrid.APIKey = secret.New("") }, []string{"smtp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := config.Project{
				ID: "default", SMTPURL: secret.New("smtps://u:p@mail.acme.example"),
				SendGrid: config.SendGrid{APIKey: secret.New("SG.x"), From: "connect@acme.example"},
			}
			c.change(&p)
			shop := workshop{cfg: &config.Config{}, now: time.Now, reporting: func(string, bool) func() time.Time { return nil }}
			v, err := shop.open(p, true, "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range v.senders(invite.Email) {
				got = append(got, s.Provider())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("email goes by %v, want %v", got, c.want)
			}
			if n := len(v.senders(invite.SMS)); n != 0 {
				t.Errorf("%d ways for texts without an account", n)
			}
		})
	}
}
