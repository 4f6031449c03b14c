package app

import (
	"fmt"
	"slices"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/trace"
)

// environments are Pipedream's; a live key carries one of them.
var environments = []string{"development", "production"}

// opener makes a provider for a project and mode from its settings; nil where they
// lack it. callbackURL is where vendors reach us, empty when they cannot.
type opener func(w clientFactory, p config.Project, livemode bool, callbackURL string) (*provider.Provider, error)

// rehearser puts the sandbox's account in place of a project's own, for test mode.
// base is where the sandbox's vendors are served.
type rehearser func(p *config.Project, s *sandbox.Sandbox, base string)

// providerKinds are all providers that there are, one line each.
func providerKinds() []struct {
	open     opener
	rehearse rehearser
} {
	return []struct {
		open     opener
		rehearse rehearser
	}{
		{openSendGrid, rehearseSendGrid},
		{openSMTP, rehearseSMTP},
		{openTwilio, rehearseTwilio},
		{openVonage, rehearseVonage},
	}
}

// vendors are the accounts behind one project and mode. Test mode has the
// same clients as live mode; only addresses and credentials differ.
type vendors struct {
	minters     map[string]*mint.Minter // by Pipedream environment
	pipedreams  map[string]*pipedream.Client
	providers   []*provider.Provider
	order       map[invite.Channel][]string // names, the first choice first
	callbackURL string                      // where vendors reach us; empty when they cannot
}

// named returns the provider with this name, also where it is no choice of its
// channel: reports of what it took before still come.
func (v *vendors) named(name string) (*provider.Provider, bool) {
	i := slices.IndexFunc(v.providers, func(p *provider.Provider) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return v.providers[i], true
}

// of lists the providers of a channel that can send, in the order in which they
// are tried.
func (v *vendors) of(c invite.Channel) []*provider.Provider {
	var out []*provider.Provider
	for _, name := range v.order[c] {
		if p, ok := v.named(name); ok && p.Channel == c && p.Sender != nil {
			out = append(out, p)
		}
	}
	return out
}

// senders in the order in which they are tried.
func (v *vendors) senders(c invite.Channel) []provider.Sender {
	var out []provider.Sender
	for _, p := range v.of(c) {
		out = append(out, p.Sender)
	}
	return out
}

// textSenders are what texts come from, the first choice first, and what they came
// from before: a provider that is no choice any more, and whose texts people still
// answer. An opt-out that is said to it counts for all.
func (v *vendors) textSenders() []string {
	var out []string
	add := func(s provider.Sender) {
		if id := s.Identity(); id.Sender != "" && !slices.Contains(out, id.Sender) {
			out = append(out, id.Sender)
		}
	}
	for _, s := range v.replied() {
		add(s)
	}
	for _, p := range v.providers {
		if p.Sender != nil && p.Channel.Spec().OptOutByReply {
			add(p.Sender)
		}
	}
	return out
}

// replied are the senders of the channels where people opt out by a reply.
func (v *vendors) replied() []provider.Sender {
	var out []provider.Sender
	for _, spec := range invite.Specs() {
		if spec.OptOutByReply {
			out = append(out, v.senders(spec.Channel)...)
		}
	}
	return out
}

// isOneWay reports whether people cannot reply to what texts come from first.
func (v *vendors) isOneWay() bool {
	senders := v.replied()
	return len(senders) > 0 && senders[0].Identity().OneWay
}

// pace is the limit of an account, a tenth of a second's worth at once. Where
// projects share one and disagree, the slowest counts: it is one limit at the
// provider.
func (a *App) pace(account string) dispatch.Pace {
	slowest := 0.0
	for _, v := range a.vendors {
		for _, p := range v.providers {
			if p.Sender == nil || p.Sender.Account() != account || p.PerSecond <= 0 {
				continue
			}
			if slowest == 0 || p.PerSecond < slowest {
				slowest = p.PerSecond
			}
		}
	}
	if slowest == 0 {
		return dispatch.Pace{}
	}
	return dispatch.Pace{PerSecond: slowest, Burst: max(1, int(slowest/10))}
}

// workshop is what all vendors of a process are made with.
type clientFactory struct {
	tracer    *trace.Tracer
	mints     *mint.Metrics
	cfg       *config.Config
	box       *seal.Box
	publicURL string
	budget    *limit.Keyed
	now       func() time.Time
	wantLogo  func(source string) // may be called once the App is open
	// reporting gives the time of the last verified report of a provider for a project and mode.
	reporting func(provider string, place invite.Place) func() time.Time
}

// mintsPerMinute is Pipedream's documented limit for one external user.
const mintsPerMinute = 100

// open makes the clients of one project and mode; a vendor without credentials stays
// absent.
func (w clientFactory) open(p config.Project, livemode bool, callbackURL string) (*vendors, error) {
	v := &vendors{
		minters: map[string]*mint.Minter{}, pipedreams: map[string]*pipedream.Client{}, callbackURL: callbackURL,
		order: map[invite.Channel][]string{},
	}
	for _, ch := range invite.Channels() {
		v.order[ch] = p.Providers(string(ch))
	}
	if p.Pipedream.ClientID != "" {
		for _, environment := range environments {
			client := pipedream.New(pipedream.Params{
				BaseURL: p.Pipedream.APIURL, ClientID: p.Pipedream.ClientID, ClientSecret: p.Pipedream.ClientSecret,
				ProjectID: p.Pipedream.ProjectID, Environment: environment, LinkHosts: p.Pipedream.LinkHosts, Now: w.now,
			})
			v.pipedreams[environment] = client
			v.minters[environment] = mint.New(mint.Params{
				Client: client, Box: w.box, PublicURL: w.publicURL, CallbackURL: callbackURL, Scope: p.Pipedream.TokenScope,
				Budget: w.budget, Now: w.now, Tracer: w.tracer, Metrics: w.mints, Used: w.wantLogo,
			})
		}
	}
	for _, kind := range providerKinds() {
		one, err := kind.open(w, p, livemode, callbackURL)
		if err != nil {
			return nil, fmt.Errorf("project %s: %w", p.ID, err)
		}
		if one != nil {
			v.providers = append(v.providers, one)
		}
	}
	return v, nil
}
