package console_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
)

// matrix is the least role that each route of a project is for, written down
// apart from the routes themselves. A route that is missing here fails.
func matrix() map[string]access.Role {
	return map[string]access.Role{
		"GET ":                                        access.RoleViewer,
		"GET /home":                                   access.RoleViewer,
		"GET /search":                                 access.RoleViewer,
		"POST /search":                                access.RoleViewer,
		"GET /search/export":                          access.RoleLead,
		"GET /invites":                                access.RoleViewer,
		"GET /invites/export":                         access.RoleLead,
		"GET /invites/:id":                            access.RoleViewer,
		"GET /invites/:id/saw":                        access.RoleViewer,
		"GET /invites/:id/mail":                       access.RoleViewer,
		"GET /invites/:id/page":                       access.RoleViewer,
		"GET /invites/:id/unmask":                     access.RoleViewer,
		"POST /invites/:id/unmask":                    access.RoleAgent,
		"GET /invites/:id/resend":                     access.RoleAgent,
		"POST /invites/:id/resend":                    access.RoleAgent,
		"GET /invites/:id/check":                      access.RoleAgent,
		"POST /invites/:id/check":                     access.RoleAgent,
		"GET /invites/:id/reconnect":                  access.RoleAgent,
		"POST /invites/:id/reconnect":                 access.RoleAgent,
		"GET /invites/:id/extend":                     access.RoleAgent,
		"POST /invites/:id/extend":                    access.RoleAgent,
		"GET /invites/:id/revoke":                     access.RoleAgent,
		"POST /invites/:id/revoke":                    access.RoleAgent,
		"GET /invites/:id/link":                       access.RoleAgent,
		"POST /invites/:id/link":                      access.RoleAgent,
		"GET /invites/:id/take":                       access.RoleViewer,
		"POST /invites/:id/take":                      access.RoleAgent,
		"GET /invites/:id/let-go":                     access.RoleViewer,
		"POST /invites/:id/let-go":                    access.RoleAgent,
		"GET /invites/:id/notes":                      access.RoleViewer,
		"POST /invites/:id/notes":                     access.RoleAgent,
		"POST /invites/:id/notes/:note/delete":        access.RoleAgent,
		"GET /views":                                  access.RoleViewer,
		"POST /views":                                 access.RoleViewer,
		"GET /views/:id":                              access.RoleViewer,
		"POST /views/:id":                             access.RoleViewer,
		"GET /bulk":                                   access.RoleViewer,
		"POST /bulk":                                  access.RoleAgent,
		"GET /bulk/correct":                           access.RoleAgent,
		"POST /bulk/correct":                          access.RoleAgent,
		"GET /bulk/:id":                               access.RoleViewer,
		"GET /bulk/:id/export":                        access.RoleLead,
		"GET /bulk/:id/confirm":                       access.RoleViewer,
		"POST /bulk/:id/confirm":                      access.RoleAgent,
		"GET /bulk/:id/stop":                          access.RoleViewer,
		"POST /bulk/:id/stop":                         access.RoleAgent,
		"GET /new":                                    access.RoleAgent,
		"POST /new":                                   access.RoleAgent,
		"GET /new/apps":                               access.RoleAgent,
		"GET /new/proof":                              access.RoleAgent,
		"GET /people/:id":                             access.RoleViewer,
		"GET /people/:id/export":                      access.RoleLead,
		"POST /people/:id/erase":                      access.RoleLead,
		"GET /blocks":                                 access.RoleViewer,
		"POST /blocks":                                access.RoleAgent,
		"GET /blocks/find":                            access.RoleViewer,
		"POST /blocks/find":                           access.RoleViewer,
		"GET /blocks/import":                          access.RoleViewer,
		"POST /blocks/import":                         access.RoleLead,
		"GET /blocks/:id":                             access.RoleViewer,
		"GET /blocks/:id/unmask":                      access.RoleViewer,
		"GET /blocks/:id/lift":                        access.RoleViewer,
		"POST /blocks/:id/unmask":                     access.RoleAgent,
		"POST /blocks/:id/lift":                       access.RoleLead,
		"GET /audit":                                  access.RoleLead,
		"GET /keys":                                   access.RoleAdmin,
		"POST /keys":                                  access.RoleAdmin,
		"POST /keys/:id/revoke":                       access.RoleAdmin,
		"POST /keys/:id/rotate":                       access.RoleAdmin,
		"GET /pauses":                                 access.RoleLead,
		"POST /pauses":                                access.RoleLead,
		"POST /pauses/resume":                         access.RoleLead,
		"GET /webhooks":                               access.RoleAdmin,
		"POST /webhooks":                              access.RoleAdmin,
		"GET /webhooks/:id":                           access.RoleAdmin,
		"POST /webhooks/:id":                          access.RoleAdmin,
		"GET /webhooks/:id/rotate":                    access.RoleAdmin,
		"POST /webhooks/:id/rotate":                   access.RoleAdmin,
		"POST /webhooks/:id/test":                     access.RoleAdmin,
		"POST /webhooks/:id/recover":                  access.RoleAdmin,
		"POST /webhooks/:id/delete":                   access.RoleAdmin,
		"GET /events":                                 access.RoleAdmin,
		"GET /events/:id":                             access.RoleAdmin,
		"POST /events/:id/redeliver":                  access.RoleAdmin,
		"GET /messages":                               access.RoleAdmin,
		"GET /messages/proof":                         access.RoleAdmin,
		"GET /messages/:language/:situation":          access.RoleAdmin,
		"POST /messages/:language/:situation":         access.RoleAdmin,
		"GET /messages/:language/:situation/restore":  access.RoleAdmin,
		"POST /messages/:language/:situation/restore": access.RoleAdmin,
		"GET /messages/:language/:situation/copy":     access.RoleAdmin,
		"POST /messages/:language/:situation/copy":    access.RoleAdmin,
		"GET /team":                                   access.RoleAdmin,
		"POST /team":                                  access.RoleAdmin,
		"POST /team/:id/role":                         access.RoleAdmin,
		"POST /team/:id/link":                         access.RoleAdmin,
		"POST /team/:id/factor":                       access.RoleAdmin,
		"POST /team/:id/disable":                      access.RoleAdmin,
		"POST /team/:id/enable":                       access.RoleAdmin,
		"POST /team/sessions/:id/end":                 access.RoleAdmin,
		"GET /system":                                 access.RoleAdmin,
		"POST /system/:channel/stop":                  access.RoleAdmin,
		"POST /system/:channel/resume":                access.RoleAdmin,
	}
}

// own are the routes for anybody who is signed in; doors those for everybody.
func own() []string {
	return []string{"GET /console/", "GET /console/help", "GET /console/settings", "POST /console/settings",
		"POST /console/settings/sessions/:id/end", "POST /console/settings/recovery-codes", "GET /console/confirm", "GET /console/confirm/issuer", "GET /console/*"}
}

func doors() []string {
	return []string{"GET /console", "GET /console/static/*", "GET /console/sign-in", "POST /console/sign-in", "GET /console/sign-in/issuer",
		"GET /console/sign-in/code", "POST /console/sign-in/code", "POST /console/sign-in/logout",
		"GET /console/sign-in/callback", "GET /console/sign-in/password/:token", "POST /console/sign-in/password/:token", "GET /console/sign-in/link/:token", "POST /console/sign-in/link/:token", "POST /console/sign-out"}
}

const inProject = "/console/:project/:mode"

// filled is a route's path with something in its places.
func filled(path, project, mode string) string {
	return strings.NewReplacer(":project", project, ":mode", mode, ":channel", "email", ":id", invite.New[invite.ID]().String(), ":note", invite.New[invite.NoteID]().String(),
		":language", "en", ":situation", "first",
		":token", "cls_x", "/*", "/elsewhere").Replace(path)
}

func TestEveryRouteIsForWhoTheMatrixSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	people := map[access.Role]*browser{}
	for _, role := range access.Roles() {
		people[role] = s.signedIn(string(role), map[string]access.Role{"default": role})
	}
	stranger := s.browser()
	left, known := matrix(), append(own(), doors()...)
	for _, r := range s.echo.Routes() {
		if !strings.HasPrefix(r.Path, "/console") {
			continue
		}
		name := r.Method + " " + r.Path
		rest, ofProject := strings.CutPrefix(r.Path, inProject)
		if !ofProject {
			if !slices.Contains(known, name) {
				t.Errorf("%s is in no list", name)
			}
			if slices.Contains(own(), name) {
				if a := stranger.do(r.Method, filled(r.Path, "", ""), nil); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.location(), "/console/sign-in") {
					t.Errorf("%s for a stranger: %d to %q", name, a.StatusCode, a.location())
				}
			}
			continue
		}
		least, ok := left[r.Method+" "+rest]
		if !ok {
			t.Errorf("%s is not in the matrix", name)
			continue
		}
		delete(left, r.Method+" "+rest)
		if a := stranger.do(r.Method, filled(r.Path, "default", "test"), nil); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.location(), "/console/sign-in") {
			t.Errorf("%s for a stranger: %d to %q", name, a.StatusCode, a.location())
		}
		for role, b := range people {
			for _, mode := range []string{"test", "live"} {
				a := b.do(r.Method, filled(r.Path, "default", mode), nil)
				if may := role.AtLeast(least); may == (a.StatusCode == http.StatusForbidden) || a.StatusCode >= 500 {
					t.Errorf("%s for %s in %s: %d", name, role, mode, a.StatusCode)
				}
			}
			// Another project and an unknown project or mode get the same answer: 404.
			for _, place := range [][2]string{{"other", "test"}, {"other", "live"}, {"nobodys", "test"}, {"default", "both"}} {
				if a := b.do(r.Method, filled(r.Path, place[0], place[1]), nil); a.StatusCode != http.StatusNotFound || strings.Contains(a.body, "Fabrikam") {
					t.Errorf("%s for %s in %s: %d", name, role, place, a.StatusCode)
				}
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("in the matrix and no routes: %v", slices.Collect(maps.Keys(left)))
	}
	if n := s.count(`SELECT count(*) FROM lanes WHERE held_at IS NOT NULL`); n != 0 {
		t.Error("an empty form stopped the sending")
	}
}

// Objects of another mode or project answer 404, for every role.
func TestObjectsOfOtherPlacesAreNotThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	s.signedIn("elsewhere", map[string]access.Role{"other": access.RoleAdmin})
	s.signedIn("everywhere", map[string]access.Role{"*": access.RoleAdmin})
	for name, n := range map[string]grant.NewKey{
		"another mode's":    {Place: invite.Place{Project: "default", Live: true}, Name: "x", Environment: "production", Scopes: access.DefaultScopes()},
		"another project's": {Place: invite.Place{Project: "other"}, Name: "x", Environment: "development", Scopes: access.DefaultScopes()},
	} {
		_, k, err := s.keys.Create(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if a := admin.post("/console/default/test/keys/"+k.ID.String()+"/revoke", nil); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s key: %d", name, a.StatusCode)
		}
		if strings.Contains(admin.get("/console/default/test/keys").body, k.ID.String()) {
			t.Errorf("%s key is listed", name)
		}
	}
	if n := s.count(`SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL`); n != 0 {
		t.Errorf("%d keys were revoked", n)
	}
	// An administrator of one project has no power over accounts that reach further.
	list, err := s.staff.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.Person.Name == "admin" {
			continue
		}
		if a := admin.post("/console/default/test/team/"+k.ID.String()+"/disable", nil); a.StatusCode != http.StatusNotFound {
			t.Errorf("disabling %s: %d", k.Person.Name, a.StatusCode)
		}
		sessions, err := s.staff.Sessions(t.Context(), k.ID)
		if err != nil || len(sessions) != 1 {
			t.Fatalf("%d sessions, %v", len(sessions), err)
		}
		for _, path := range []string{"/console/default/test/team/sessions/", "/console/settings/sessions/"} {
			if a := admin.post(path+sessions[0].ID.String()+"/end", nil); a.StatusCode != http.StatusNotFound {
				t.Errorf("ending the session of %s: %d", k.Person.Name, a.StatusCode)
			}
		}
	}
}

func TestAnotherSiteCannotActForAPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	stop := "/console/default/test/system/email/stop"
	form := map[string][]string{"why": {"maintenance"}}
	for name, from := range map[string]http.Header{
		"another site":                   {"Sec-Fetch-Site": {"cross-site"}},
		"another host of the site":       {"Sec-Fetch-Site": {"same-site"}},
		"another origin, an old browser": {"Sec-Fetch-Site": {""}, "Origin": {"https://evil.example"}},
		"no origin at all":               {"Sec-Fetch-Site": {""}, "Origin": {"null"}},
	} {
		admin.extra = from
		if a := admin.post(stop, form); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "another site") {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if n := s.count(`SELECT count(*) FROM lanes WHERE held_at IS NOT NULL`); n != 0 {
		t.Fatal("it was done")
	}
	admin.extra = http.Header{}
	if a := admin.post(stop, form); a.StatusCode != http.StatusSeeOther || s.count(`SELECT count(*) FROM lanes WHERE held_at IS NOT NULL`) != 1 {
		t.Errorf("from the page itself: %d", a.StatusCode)
	}
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	for _, a := range []answer{
		admin.get("/console/default/test/home"), admin.get("/console/"), admin.get("/console/nowhere"), admin.get("/console/other/test/home"),
		s.browser().get("/console/sign-in"), s.browser().get("/console/default/test/keys"), s.browser().post("/console/sign-out", nil),
	} {
		h := a.Header
		csp := h.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || !strings.Contains(csp, "default-src 'none'") ||
			!strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") {
			t.Errorf("%s: policy %q", a.Request.URL.Path, csp)
		}
		if h.Get("Cache-Control") != "no-store, no-transform" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%s: %v", a.Request.URL.Path, h)
		}
		for _, attribute := range []string{" onclick=", " style=", "<style", "javascript:", "http://", "https://"} {
			if strings.Contains(a.body, attribute) {
				t.Errorf("%s holds %s", a.Request.URL.Path, attribute)
			}
		}
	}
	page := admin.get("/console/default/test/home").body
	_, rest, _ := strings.Cut(page, `href="/console/static/`)
	name, _, _ := strings.Cut(rest, `"`)
	if a := s.browser().get("/console/static/" + name); a.StatusCode != http.StatusOK || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the style %s: %d %v", name, a.StatusCode, a.Header)
	}
	if a := s.browser().get("/console/static/0000000000000000/console.css"); a.StatusCode != http.StatusNotFound {
		t.Errorf("a style of another version: %d", a.StatusCode)
	}
}
