package app

import (
	"context"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/provider"
)

// Inbound is where a provider has to post what people reply to a project's live texts.
type Inbound struct{ Provider, URL string }

// InboundTexts lists the providers of a project's live texts that can reach us and
// prove themselves.
func InboundTexts(cfg *config.Config, p config.Project) []Inbound {
	if cfg.PublicURL == nil {
		return nil
	}
	public := strings.TrimSuffix(cfg.PublicURL.String(), "/")
	v, err := checkShop(cfg).open(p, true, public)
	if err != nil {
		return nil
	}
	var out []Inbound
	for _, account := range p.Accounts() {
		one, ok := v.named(account.Name)
		if ok && one.Channel.Spec().OptOutByReply && one.Callbacks != nil && cfg.CallbacksReachable(account.APIURL) {
			out = append(out, Inbound{account.Label, public + "/hooks/" + one.Name + "/inbound/" + p.ID + "/live"})
		}
	}
	return out
}

// OneWay reports whether people cannot reply to what a project's live texts come
// from first.
func OneWay(cfg *config.Config, p config.Project) bool {
	v, err := checkShop(cfg).open(p, true, "")
	return err == nil && v.isOneWay()
}

func checkShop(cfg *config.Config) clientFactory {
	return clientFactory{
		cfg: cfg, now: time.Now, budget: limit.New(1, 1, time.Now),
		reporting: func(string, invite.Place) func() time.Time { return nil },
	}
}

// Checks lists what can be tried of a project's live vendors without sending
// anything or making a connect token.
func Checks(cfg *config.Config, p config.Project) []provider.Check {
	v, err := checkShop(cfg).open(p, true, "")
	if err != nil {
		return []provider.Check{{What: "vendors", Advice: "Correct the key that is named.", Try: func(context.Context) error { return err }}}
	}
	var out []provider.Check
	if c, ok := v.pipedreams[p.Pipedream.Environment]; ok {
		out = append(out, provider.Check{
			What: "Pipedream's token endpoint", Advice: "PIPEDREAM_CLIENT_ID and PIPEDREAM_CLIENT_SECRET must be an OAuth client of the workspace.", Try: c.Ping,
		})
	}
	for _, one := range v.providers {
		out = append(out, one.Checks...)
	}
	return out
}
