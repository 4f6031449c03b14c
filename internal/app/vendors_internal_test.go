package app

import (
	"slices"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/dispatch"
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
		"SMTP first":    {func(p *config.Project) { p.EmailProviders = []string{"smtp", "sendgrid"} }, []string{"smtp", "sendgrid"}},
		"one left out":  {func(p *config.Project) { p.EmailProviders = []string{"smtp"} }, []string{"smtp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := config.Project{
				ID: "default", SMTPURL: secret.New("smtps://u:p@mail.acme.example"), EmailProviders: []string{"sendgrid", "smtp"},
				SendGrid: config.SendGrid{APIKey: secret.New("SG.x"), From: "connect@acme.example"},
			}
			c.change(&p)
			shop := clientFactory{cfg: &config.Config{}, now: time.Now, reporting: func(string, invite.Place) func() time.Time { return nil }}
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

// A project without a provider's account, or that leaves it out, does not send by
// it; what it took before still reports.
func TestWaysForTextsInTheirOrder(t *testing.T) {
	t.Parallel()
	p := config.Project{
		ID: "default", SMSProviders: []string{"absent", config.ByTwilio},
		Twilio: config.Twilio{AccountSID: "AC1", AuthToken: secret.New("t"), From: "ACME", OneWay: true},
	}
	shop := clientFactory{cfg: &config.Config{}, now: time.Now, reporting: func(string, invite.Place) func() time.Time { return nil }}
	v, err := shop.open(p, true, "https://go.acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if s := v.senders(invite.SMS); len(s) != 1 || s[0].Provider() != "twilio" || !v.isOneWay() || !slices.Equal(v.textSenders(), []string{"ACME"}) {
		t.Errorf("texts go by %v from %v, one way: %v", s, v.textSenders(), v.isOneWay())
	}
	p.SMSProviders = nil
	if v, err = shop.open(p, true, "https://go.acme.example"); err != nil {
		t.Fatal(err)
	}
	if one, ok := v.named("twilio"); len(v.senders(invite.SMS)) != 0 || !ok || one.Callbacks == nil {
		t.Error("a provider that was left out must not send, and must still be heard")
	}
	// Who answers its last text with STOP is not written to by another one.
	if !slices.Equal(v.textSenders(), []string{"ACME"}) {
		t.Errorf("opt-outs count for %v", v.textSenders())
	}
}

func TestProjectsThatShareAnAccountKeepToTheSlowerPace(t *testing.T) {
	t.Parallel()
	shop := clientFactory{cfg: &config.Config{}, now: time.Now, reporting: func(string, invite.Place) func() time.Time { return nil }}
	a := &App{vendors: map[invite.Place]*vendors{}}
	var account string
	for id, perSecond := range map[string]float64{"quick": 50, "slow": 0.5, "free": 0} {
		v, err := shop.open(config.Project{
			ID: id, SMSProviders: []string{config.ByTwilio}, Twilio: config.Twilio{AccountSID: "AC1", AuthToken: secret.New("t"), From: "+12025550123", PerSecond: perSecond},
		}, true, "")
		if err != nil {
			t.Fatal(err)
		}
		a.vendors[invite.Place{Project: id, Live: true}] = v
		account = v.senders(invite.SMS)[0].Account()
	}
	if got, want := a.pace(account), (dispatch.Pace{PerSecond: 0.5, Burst: 1}); got != want {
		t.Errorf("pace %+v, want %+v", got, want)
	}
	if got := a.pace("another account"); got != (dispatch.Pace{}) {
		t.Errorf("an account without a limit has pace %+v", got)
	}
}
