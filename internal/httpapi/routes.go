package httpapi

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
)

// Invites changes the course of invites; *issue.Service does.
type Invites interface {
	Create(ctx context.Context, p access.Principal, req issue.CreateRequest, meta issue.Meta) (issue.Answer, error)
	CreateBatch(ctx context.Context, p access.Principal, items []issue.BatchItem) ([]issue.BatchResult, error)
	Resend(ctx context.Context, p access.Principal, id invite.ID, req issue.ResendRequest, meta issue.Meta) (issue.Answer, error)
	Extend(ctx context.Context, p access.Principal, id invite.ID, req issue.ExtendRequest, meta issue.Meta) (issue.Answer, error)
	Reconnect(ctx context.Context, p access.Principal, id invite.ID, req issue.ReconnectRequest, meta issue.Meta) (issue.Answer, error)
	ListLimits(ctx context.Context, p access.Principal) (limits []issue.LimitStatus, countries []string, err error)
	SearchApps(ctx context.Context, p access.Principal, words string) (apps []invite.App, suggestion string, err error)
	RevokeUser(ctx context.Context, p access.Principal, req issue.RevokeUserRequest) (int, []resource.Invite, error)
	Revoke(ctx context.Context, p access.Principal, id invite.ID, req issue.RevokeRequest, meta issue.Meta) (resource.Invite, error)
}

// Callbacks takes what providers report; *track.Tracker does. A nil error
// means that it is stored. Errors: track.ErrUnknown, ErrForged, ErrMalformed.
type Callbacks interface {
	Pipedream(ctx context.Context, hook secret.Text, raw []byte) error
	Reports(ctx context.Context, p provider.Post) error
	Replies(ctx context.Context, p provider.Post) (provider.Answer, error)
	// Missed records that a post of reports was not answered with 2xx.
	Missed(ctx context.Context, provider string, place invite.Place)
}

// Inbox is what test mode has sent; *sandbox.Sandbox has it. It knows no
// projects: this package shows a message only to the project of its invite.
type Inbox interface {
	Messages(ctx context.Context, f sandbox.MessageFilter) ([]sandbox.Message, error)
	Message(ctx context.Context, id string) (sandbox.Message, error)
}

// Params are what the API needs.
type Params struct {
	Invites      Invites
	Previews     Previews
	Suppressions Suppressions
	Privacy      Privacy
	Pauses       Pauses
	EventLog     EventLog
	Endpoints    Endpoints
	Callbacks    Callbacks
	Connections  Connections // nil: accounts are not checked on request
	Authenticate func(ctx context.Context, key secret.Text, from netip.Addr) (access.Principal, error)
	// DB and Box serve reads, which go straight to store/find; lists of invites are read
	// by Lists.
	DB    postgres.DB
	Lists postgres.Lists
	Box   *seal.Box
	// PublicURL is where people reach this service; empty when they cannot.
	PublicURL string
	// SecurityContact is where to report vulnerabilities, a URI; empty: it is not told.
	SecurityContact string
	// InApp serves products' own apps, AppLinks lists the apps that may open links
	// of ours.
	InApp    InApp
	AppLinks AppLinks
	// Inbox and Advance serve test mode; nil where there is none. Advance moves
	// an invite of test mode to a state named in advances.
	Inbox   Inbox
	Advance func(ctx context.Context, p access.Principal, id invite.ID, to string) error
	// Faults makes the vendors of test mode fail; nil where there are none.
	Faults VendorFaults
	// Check returns the refusals of a create without any effect, so that
	// faults of form and of meaning are reported together. May be nil.
	Check func(p access.Principal, req issue.CreateRequest) error
	// Ready returns why this process should get no traffic; nil if it should.
	Ready func(ctx context.Context) error
}

// api answers the routes.
type api struct {
	Params
	docs   *docs
	bodies *bodyBudget // of callbacks
	brake  *brake
}

// Limits of bodies. SendGrid posts up to a thousand events at once; a post about
// one message, and one of Pipedream, has a few hundred bytes.
const (
	smallHook = 64 << 10
	batchHook = 4 << 20
	batchBody = 2 << 20 // of a hundred creates
)

// Who may use a route.
const (
	anyone     access.Scope = ""             // no key
	anyKey     access.Scope = "any key"      // a key with any scopes
	byProvider access.Scope = "provider"     // no key: a signature
	client     access.Scope = "client token" // no key: a token for one invite
)

// route is one line of the table below.
type route struct {
	method, path string
	scope        access.Scope
	handler      echo.HandlerFunc
	more         []echo.MiddlewareFunc
}

// routes is the whole surface: what there is, and who may use it.
func (a *api) routes() []route {
	small := []echo.MiddlewareFunc{web.BodyLimit(smallHook), a.boundBody(smallHook)}
	status := append(oneMiddleware(a.watchReports), small...)
	batch := []echo.MiddlewareFunc{a.watchReports, web.BodyLimit(batchHook), a.boundBody(batchHook)}
	page := oneMiddleware(a.docs.headers)
	return []route{
		{"POST", "/v1/invites", access.InvitesWrite, a.create, nil},
		{"POST", "/v1/invites/batch", access.InvitesWrite, a.createBatch, oneMiddleware(web.BodyLimit(batchBody))},
		{"POST", "/v1/invites/revoke", access.InvitesWrite, a.revokeUser, nil},
		{"POST", "/v1/invites/preview", access.InvitesRead, a.preview, nil},
		{"GET", "/v1/invites", access.InvitesRead, a.list, nil},
		{"POST", "/v1/invites/search", access.InvitesRead, a.searchInvites, nil},
		{"GET", "/v1/invites/:id", access.InvitesRead, a.get, nil},
		{"POST", "/v1/invites/:id/resend", access.InvitesWrite, a.resend, nil},
		{"POST", "/v1/invites/:id/extend", access.InvitesWrite, a.extend, nil},
		{"POST", "/v1/invites/:id/reconnect", access.InvitesWrite, a.reconnect, nil},
		{"POST", "/v1/invites/:id/check_connection", access.InvitesWrite, a.checkConnection, nil},
		{"POST", "/v1/invites/:id/revoke", access.InvitesWrite, a.revoke, nil},
		{"GET", "/v1/invites/:id/events", access.InvitesRead, a.events, nil},
		{"GET", "/v1/invites/:id/deliveries", access.InvitesRead, a.deliveries, nil},
		{"GET", "/v1/deliveries/:id", access.InvitesRead, a.delivery, nil},
		{"GET", "/v1/deliveries/:id/content", access.InvitesRead, a.content, nil},

		{"GET", "/v1/events", access.Webhooks, a.listPublicEvents, nil},
		{"GET", "/v1/events/:id", access.Webhooks, a.getPublicEvent, nil},
		{"POST", "/v1/events/:id/redeliver", access.Webhooks, a.redeliver, nil},

		{"GET", "/v1/webhook_endpoints", access.Webhooks, a.listEndpoints, nil},
		{"POST", "/v1/webhook_endpoints", access.Webhooks, a.createEndpoint, nil},
		{"GET", "/v1/webhook_endpoints/:id", access.Webhooks, a.getEndpoint, nil},
		{"PATCH", "/v1/webhook_endpoints/:id", access.Webhooks, a.updateEndpoint, nil},
		{"DELETE", "/v1/webhook_endpoints/:id", access.Webhooks, a.deleteEndpoint, nil},
		{"POST", "/v1/webhook_endpoints/:id/rotate_secret", access.Webhooks, a.rotateSecret, nil},
		{"POST", "/v1/webhook_endpoints/:id/test", access.Webhooks, a.testEndpoint, nil},
		{"POST", "/v1/webhook_endpoints/:id/recover", access.Webhooks, a.recoverEndpoint, nil},
		{"GET", "/v1/webhook_endpoints/:id/attempts", access.Webhooks, a.listAttempts, nil},

		{"GET", "/v1/apps", anyKey, a.apps, nil},
		{"GET", "/v1/limits", anyKey, a.limits, nil},

		{"GET", "/v1/pauses", anyKey, a.listPauses, nil},
		{"POST", "/v1/pauses", access.Admin, a.pauseSending, nil},
		{"POST", "/v1/pauses/resume", access.Admin, a.resumeSending, nil},

		{"GET", "/v1/suppressions", access.Suppressions, a.listSuppressions, nil},
		{"POST", "/v1/suppressions/search", access.Suppressions, a.searchSuppressions, nil},
		{"POST", "/v1/suppressions", access.Suppressions, a.addSuppression, nil},
		{"DELETE", "/v1/suppressions/:id", access.Suppressions, a.liftSuppression, nil},

		{"POST", "/v1/privacy/export", access.Admin, a.exportPerson, nil},
		{"POST", "/v1/privacy/erase", access.Admin, a.erasePerson, nil},

		{"POST", "/v1/invites/:id/client_token", access.InvitesWrite, a.clientToken, nil},
		{"GET", "/v1/client/invite", client, a.clientInvite, oneMiddleware(web.Timeout(clientTimeout))},
		{"POST", "/v1/client/invite/open", client, a.clientOpen, nil},

		{"GET", "/v1/test_helpers/messages", access.LinksRead, a.messages, oneMiddleware(testKeys)},
		{"GET", "/v1/test_helpers/messages/:id", access.LinksRead, a.message, oneMiddleware(testKeys)},
		{"POST", "/v1/test_helpers/invites/:id/advance", access.InvitesWrite, a.advance, oneMiddleware(testKeys)},
		{"GET", "/v1/test_helpers/faults", access.InvitesRead, a.listFaults, oneMiddleware(testKeys)},
		{"POST", "/v1/test_helpers/faults", access.InvitesWrite, a.setFault, oneMiddleware(testKeys)},
		{"DELETE", "/v1/test_helpers/faults/:vendor", access.InvitesWrite, a.clearFault, oneMiddleware(testKeys)},

		{"GET", "/v1/reasons", anyone, a.reasons, nil},
		{"GET", "/v1/openapi.json", anyone, a.openAPI, nil},
		{"GET", "/docs", anyone, a.docs.index, page},
		{"GET", "/docs/docs.css", anyone, a.docs.style, page},
		{"GET", "/docs/docs.js", anyone, a.docs.script, page},
		{"GET", "/docs/guides", anyone, a.docs.guideIndex, page},
		{"GET", "/docs/guides/:guide", anyone, a.docs.guide, page},
		{"GET", "/docs/search", anyone, a.docs.search, page},
		{"GET", "/docs/errors/:code", anyone, a.docs.failure, page},
		{"GET", "/docs/reasons", anyone, a.docs.reasons, page},
		{"GET", "/.well-known/apple-app-site-association", anyone, a.appleApps, nil},
		{"GET", "/.well-known/assetlinks.json", anyone, a.androidApps, nil},
		{"GET", "/.well-known/security.txt", anyone, a.securityText, nil},
		{"GET", "/livez", anyone, a.live, nil},
		{"GET", "/readyz", anyone, a.ready, nil},

		{"POST", "/hooks/pipedream/:secret", byProvider, a.pipedream, small},
		{"POST", "/hooks/:provider/:project/:mode", byProvider, a.reports, batch},
		{"POST", "/hooks/:provider/status/:project/:mode/:invite/:attempt", byProvider, a.reports, status},
		{"POST", "/hooks/:provider/inbound/:project/:mode", byProvider, a.replies, small},
	}
}

// Mount adds the routes to e.
func Mount(e *echo.Echo, p Params) error {
	err := required.Check("httpapi.Params", map[string]any{
		"Authenticate": p.Authenticate, "InApp.Opens": p.InApp.Opens, "InApp.Reads": p.InApp.Reads, "Lists": p.Lists,
	})
	if err != nil {
		return err
	}
	d, err := newDocs(p.PublicURL)
	if err != nil {
		return err
	}
	a := &api{Params: p, docs: d, bodies: newBodyBudget(hookBytes, hookClientBytes), brake: newBrake()}
	for _, r := range a.routes() {
		guards := r.more
		switch r.scope {
		case anyone, byProvider:
		case client:
			guards = append([]echo.MiddlewareFunc{a.crossOrigin, a.clients}, guards...)
			e.Add(http.MethodOptions, r.path, a.preflight)
		default:
			// The key comes first: a caller without one learns nothing about other
			// requirements.
			guards = append([]echo.MiddlewareFunc{a.authenticated(r.scope), a.braked}, guards...)
		}
		e.Add(r.method, r.path, r.handler, guards...)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, r.handler, guards...)
		}
	}
	return nil
}

func oneMiddleware(m echo.MiddlewareFunc) []echo.MiddlewareFunc { return []echo.MiddlewareFunc{m} }
