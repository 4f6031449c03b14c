package httpapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
)

// Clients makes and knows client tokens; *grant.Service does.
type Clients interface {
	CreateClient(ctx context.Context, p access.Principal, id invite.ID) (grant.ClientToken, error)
	AuthenticateClient(ctx context.Context, token secret.Text) (grant.Client, error)
}

// Holders knows whether a client token that was let in still works; *grant.Service does.
type Holders interface {
	ClientWorks(ctx context.Context, c grant.Client) (bool, error)
}

// Opener hands out connect links; *visit.Service does.
type Opener interface {
	ContinueInApp(ctx context.Context, id invite.ID) (visit.Pressed, error)
}

// Budget limits how often something happens per key.
type Budget interface {
	Allow(key string) (ok bool, retryAfter time.Duration)
}

// InApp is what product's own apps are served with, by client token.
type InApp struct {
	Clients Clients
	// Holders is asked while a request waits, every Recheck (default 2 s).
	Holders Holders
	Recheck time.Duration
	Opener  Opener
	// Opens limits how often a link is asked for, per invite.
	Opens Budget
	// Reads limits how often an invite is read, per client token.
	Reads Budget
	// Waiting holds the waiting clients; without it none can wait.
	Waiting *watch.Registry
	// Streams serves apps that follow their invite; without it they are answered once.
	Streams *web.Streams
	// AllowsOrigin reports whether pages of an origin may call for a project, or
	// for any where project is empty; nil allows none.
	AllowsOrigin func(project, origin string) bool
}

const (
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"
	// longestWait is below what load balancers and phones cut off.
	longestWait = 25 * time.Second
	// clientTimeout is a waiting request's: the wait, and time to read.
	clientTimeout = longestWait + 10*time.Second
	clientKey     = "httpapi.client"
)

// clients lets holders of a client token pass.
func (a *api) clients(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		token, err := readBearer(c)
		if err != nil {
			return err
		}
		held, err := a.InApp.Clients.AuthenticateClient(c.Request().Context(), token)
		if err != nil {
			return err
		}
		web.SetPrincipal(c, held.Principal)
		c.Set(clientKey, held)
		if !a.InApp.allowsOrigin(held.Principal.Project, c.Request().Header.Get(echo.HeaderOrigin)) {
			c.Response().Header().Del(echo.HeaderAccessControlAllowOrigin)
		}
		return next(c)
	}
}

// clientOf is who holds the client token; clients has put it there.
func clientOf(c echo.Context) grant.Client {
	held, _ := c.Get(clientKey).(grant.Client)
	return held
}

type clientTokenShape struct {
	Object    string    `json:"object"`
	Token     string    `json:"token"`
	InviteID  invite.ID `json:"invite_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// clientToken creates a token. The token opens the invite's link, so it
// requires the right to see links.
func (a *api) clientToken(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	if err := noFields(c); err != nil {
		return err
	}
	p := keyPrincipal(c)
	if !p.Can(access.LinksRead) {
		return invite.Errorf(invite.CodeInsufficientScope, "A client token opens links, so this also needs a key with the scope %s.", access.LinksRead)
	}
	made, err := a.InApp.Clients.CreateClient(c.Request().Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusCreated, clientTokenShape{"client_token", made.Token.Reveal(), id, made.ExpiresAt})
}

// noFields reads the body of a request that takes nothing.
func noFields(c echo.Context) error {
	var none struct{}
	_, faults, err := bindBody(c, &none, true)
	if err != nil {
		return err
	}
	return faultsError(faults)
}

// clientShape is what a product's app may know of its invite: how it stands,
// nothing of people, no links. Everything in it changes with the version only,
// which makes the version its entity tag.
type clientShape struct {
	Object     string            `json:"object"`
	ID         invite.ID         `json:"id"`
	Livemode   bool              `json:"livemode"`
	Status     invite.Status     `json:"status"`
	Progress   invite.Progress   `json:"progress"`
	App        resource.App      `json:"app"`
	ExpiresAt  *time.Time        `json:"expires_at"`
	Connection *clientConnection `json:"connection"`
	Version    int               `json:"version"`
}

type clientConnection struct {
	ConnectedAt time.Time `json:"connected_at"`
}

// entityTag is the entity tag of a version. The letter counts changes of the shape.
func entityTag(version int) string { return fmt.Sprintf(`"a%d"`, version) }

// clientInvite answers how the invite stands; to who knows that already it
// answers when that changes, or 304 when the wait they preferred is over.
func (a *api) clientInvite(c echo.Context) error {
	if err := a.mayRead(c); err != nil {
		return err
	}
	if a.InApp.Streams != nil && a.InApp.Waiting != nil && web.WantsEvents(c) {
		return a.followInvite(c)
	}
	ctx, held := c.Request().Context(), clientOf(c)
	head := c.Response().Header()
	head.Add(echo.HeaderVary, "Authorization, Accept, Prefer")
	known := strings.Join(c.Request().Header.Values("If-None-Match"), ",")
	ticket, until, done := a.place(c, held.InviteID, known)
	defer done()
	for {
		inv, err := a.owned(ctx, held.Principal, held.InviteID)
		if err != nil {
			return err
		}
		head.Set("ETag", entityTag(inv.Version))
		if !matchesTag(known, entityTag(inv.Version)) {
			return writeJSON(c, http.StatusOK, presentClient(inv))
		}
		moved := false
		if ticket != nil && !a.InApp.Waiting.Closed() {
			if moved, err = a.await(until, held, ticket, inv.Version); err != nil {
				return err
			}
		}
		if !moved {
			if err := ctx.Err(); err != nil {
				return err // the app has gone
			}
			return c.NoContent(http.StatusNotModified)
		}
	}
}

// await waits until the invite may have moved on from a version (true) or ctx
// ends (false), for as long as the key behind the client token works. A
// database that does not answer ends no wait: nothing is told before it does.
// Errors, as *invite.Error: invalid_api_key once the key has ended.
func (a *api) await(ctx context.Context, held grant.Client, ticket *watch.Ticket, version int) (bool, error) {
	every := a.InApp.Recheck
	if every <= 0 {
		every = 2 * time.Second
	}
	for {
		part, done := context.WithTimeout(ctx, every)
		moved := ticket.Wait(part, version)
		done()
		if works, err := a.InApp.Holders.ClientWorks(ctx, held); err == nil && !works {
			return false, invite.Errorf(invite.CodeInvalidAPIKey, "The API key that made this client token was revoked or has expired. Ask your backend for another.")
		}
		if moved || ctx.Err() != nil {
			return moved, nil
		}
	}
}

// place takes a place to wait, if the request asks for it and knows a version.
func (a *api) place(c echo.Context, id invite.ID, known string) (*watch.Ticket, context.Context, func()) {
	ctx := c.Request().Context()
	wait := preferredWait(c.Request().Header.Values(headerPrefer))
	if wait <= 0 || known == "" || a.InApp.Waiting == nil || c.Request().Method != http.MethodGet {
		return nil, ctx, func() {}
	}
	ticket, ok := a.InApp.Waiting.Join(id)
	if !ok {
		return nil, ctx, func() {}
	}
	c.Response().Header().Set(headerPreferenceApplied, "wait="+strconv.Itoa(int(wait/time.Second)))
	until, cancel := context.WithTimeout(ctx, wait)
	return ticket, until, func() { cancel(); ticket.Leave() }
}

// preferredWait reads wait from the Prefer headers (RFC 7240, sections 2 and
// 4.3): the first counts, what cannot be read is no preference.
func preferredWait(headers []string) time.Duration {
	for preference := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || n <= 0 {
			return 0
		}
		return min(time.Duration(min(n, 3600))*time.Second, longestWait)
	}
	return 0
}

// matchesTag compares as If-None-Match does (RFC 9110, section 13.1.2): weakly.
func matchesTag(known, tag string) bool {
	for one := range strings.SplitSeq(known, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

func presentClient(inv find.Invite) clientShape {
	s := clientShape{
		Object: "client_invite", ID: inv.ID, Livemode: inv.Live, Status: inv.Status, Progress: inv.Progress,
		App: resource.App{Slug: inv.AppSlug, Name: inv.AppName}, Version: inv.Version,
	}
	if inv.AppLogoURL != "" {
		s.App.LogoURL = &inv.AppLogoURL
	}
	if inv.ExpiresAt != nil {
		at := inv.ExpiresAt.UTC()
		s.ExpiresAt = &at
	}
	if inv.ConnectedAt != nil {
		s.Connection = &clientConnection{inv.ConnectedAt.UTC()}
	}
	return s
}

type openShape struct {
	URL string `json:"url"`
}

// clientOpen gives the connect link, a fresh one if need be, as a press of the
// page's button does.
func (a *api) clientOpen(c echo.Context) error {
	if err := noFields(c); err != nil {
		return err
	}
	id := clientOf(c).InviteID
	if ok, after := a.InApp.Opens.Allow(id.String()); !ok {
		return &invite.Error{Code: invite.CodeRateLimited, Message: "The link was asked for too often.", RetryAfterS: wholeSeconds(after)}
	}
	pressed, err := a.InApp.Opener.ContinueInApp(c.Request().Context(), id)
	switch {
	case err != nil:
		return err
	case !pressed.URL.IsZero():
		return writeJSON(c, http.StatusOK, openShape{pressed.URL.Reveal()})
	}
	switch pressed.Page.State {
	case visit.Busy:
		return &invite.Error{
			Code: invite.CodeUnavailable, Message: "Pipedream gives no link right now.", RetryAfterS: wholeSeconds(pressed.Page.RetryAfter),
		}
	case visit.Verify:
		return invite.Errorf(invite.CodeVerificationRequired, "The recipient must enter a code on the invite link's page; open the link from the message there.")
	case visit.Connected:
		return &invite.Error{Code: invite.CodeAlreadyConnected, Message: "The account is connected.", ExistingID: id}
	case visit.Unknown:
		return noInvite()
	}
	return invite.Errorf(invite.CodeInviteEnded, "The invite has ended. Ask your backend to resend it or to create another.")
}

func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
