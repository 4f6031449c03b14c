package app

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"runtime/debug"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/internal/unmask"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

// streamsPerPerson is how many pages one person may have open that follow an invite.
const streamsPerPerson = 12

// signInsPerMinute bounds how many passwords one address may try.
const signInsPerMinute = 10

// logoutsPerMinute bounds what one address may report as the issuer: each takes a
// check of a signature, and of an unknown key a request to the issuer.
const logoutsPerMinute = 120

// answersPerMinute bounds what browsers of one address bring back from the issuer: an
// office of a hundred people is confirmed there every three minutes or less often.
const answersPerMinute = 120

func (a *App) mountConsole(e *echo.Echo) error {
	pages, err := view.New(templates.Console)
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	unmask, err := unmask.New(unmask.Params{DB: a.api, Box: a.box, PublicURL: a.public, Senders: a.textSenders, Publish: a.follow})
	if err != nil {
		return err
	}
	attending, err := attend.New(attend.Params{DB: a.api, Box: a.box, Changed: a.tellMoved})
	if err != nil {
		return err
	}
	exports, err := export.New(export.Params{DB: a.api, Now: a.opt.Now})
	if err != nil {
		return err
	}
	tests, err := testsend.New(testsend.Params{
		DB: a.api, Box: a.box, Composer: a.composer, Senders: a.senders, BlockKeys: a.blockKeys, Log: a.log, Now: a.opt.Now,
		PerSecond: func(account string) (float64, int) { pace := a.pace(account); return pace.PerSecond, pace.Burst },
	})
	if err != nil {
		return err
	}
	p := console.Params{
		Staff: a.Staff, Keys: a.Grants, Pause: a.pause, Endpoints: a.endpoints, Events: publish.NewLog(a.api, a.box), DB: a.api, Lists: a.lists(0), Box: a.box, Pages: pages, Projects: a.cfg.Projects,
		Passwords: a.cfg.Console.AcceptsPasswords(), HTTPS: a.cfg.PublicURL != nil && a.cfg.PublicURL.Scheme == "https",
		System: a.facts, AccountOf: a.sendsBy, PaceOf: func(account string) float64 { return a.pace(account).PerSecond },
		Invites: a.Issue, Connections: a.track, Blocks: a.suppress, Attend: attending, Erasing: a.Erase, Export: exports, Reword: a.reword, TestSends: tests, Composer: a.composer,
		Unmask: unmask, Watch: a.waiting, Streams: web.NewStreams(web.StreamParams{PerKey: streamsPerPerson}), PublicURL: a.public, OneWay: a.sentOneWay, Logo: a.logos.PathOf,
		Tries: limit.New(limit.Per(signInsPerMinute, time.Minute), signInsPerMinute, a.opt.Now), Reports: limit.New(limit.Per(logoutsPerMinute, time.Minute), logoutsPerMinute, a.opt.Now), Log: a.log, Now: a.opt.Now,
		Answers: limit.New(limit.Per(answersPerMinute, time.Minute), answersPerMinute, a.opt.Now),
	}
	if o := a.cfg.Console.OIDC; o.Configured() {
		p.Issuer = oidc.New(oidc.Params{
			Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Scopes: o.Scopes, RolesClaim: o.RolesClaim,
			Roles: roleGrants(o), RedirectURL: a.public + "/console/sign-in/callback", Now: a.opt.Now,
		})
		p.Groups = groupRoles(o)
	}
	return console.Register(e, p)
}

// linkLasts is how long the printed link signs in.
const linkLasts = 15 * time.Minute

// ConsoleLink is an address that signs the operator of this program into
// the console once, as administrator of everything.
func (a *App) ConsoleLink(ctx context.Context, base, name string) (string, error) {
	token, err := a.Staff.Link(ctx, access.Principal{Kind: access.KindSystem}, name,
		map[string]access.Role{account.EveryProject: access.RoleAdmin}, linkLasts)
	if err != nil {
		return "", err
	}
	return base + "/console/sign-in/link/" + url.PathEscape(token.Reveal()), nil
}

// roleGrants are what the configuration's groups come to; it checked their form.
func roleGrants(o config.OIDC) map[string][]oidc.Grant {
	out := map[string][]oidc.Grant{}
	for group, list := range o.Grants() {
		for _, text := range list {
			if g, ok := oidc.ParseGrant(text); ok {
				out[group] = append(out[group], g)
			}
		}
	}
	return out
}

// groupRoles are the same for the page Team, in the order of the groups' names.
func groupRoles(o config.OIDC) []console.GroupRole {
	grants := roleGrants(o)
	var out []console.GroupRole
	for _, group := range slices.Sorted(maps.Keys(grants)) {
		for _, g := range grants[group] {
			project := g.Project
			if project == oidc.AllProjects {
				project = ""
			}
			out = append(out, console.GroupRole{Group: group, Project: project, Role: g.Role})
		}
	}
	return out
}

// facts are for operators.
func (a *App) facts(ctx context.Context) (console.Facts, error) {
	f := console.Facts{}
	f.Replica, f.ReplicaProblem = a.replicaProblem()
	if info, ok := debug.ReadBuildInfo(); ok {
		f.Version = info.Main.Version
	}
	err := a.api.QueryRow(ctx, `SELECT current_setting('server_version'),
		(SELECT max(version_id)::text FROM goose_db_version WHERE is_applied)`).Scan(&f.Database, &f.Migration)
	if err != nil {
		return f, fmt.Errorf("read the database's versions: %w", postgres.Translate(err))
	}
	f.Orphans, err = queue.ListOrphans(ctx, a.api, a.cfg.ProjectIDs())
	return f, err
}

// sendsBy reports whether an account is one that a project sends through.
func (a *App) sendsBy(place invite.Place, account string) bool {
	for _, ch := range invite.Channels() {
		for _, s := range a.senders(place, ch) {
			if s.Account() == account {
				return true
			}
		}
	}
	return false
}
