package console

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
)

// door is a route that needs no session.
type door struct {
	method, path string
	do           echo.HandlerFunc
}

func (s *console) doors() []door {
	return []door{
		{http.MethodGet, "/sign-in", s.signIn},
		{http.MethodPost, "/sign-in", s.signInByPassword},
		{http.MethodGet, "/sign-in/code", s.codePage},
		{http.MethodPost, "/sign-in/code", s.signInByCode},
		{http.MethodGet, "/sign-in/issuer", s.toIssuer},
		{http.MethodGet, "/sign-in/callback", s.fromIssuer},
		{http.MethodGet, "/sign-in/link/:token", s.signInLink},
		{http.MethodPost, "/sign-in/link/:token", s.signInByLink},
		{http.MethodGet, "/sign-in/password/:token", s.passwordForm},
		{http.MethodPost, "/sign-in/password/:token", s.setPasswordByLink},
		{http.MethodPost, "/sign-in/logout", s.endByIssuer},
		{http.MethodPost, "/sign-out", s.signOut},
	}
}

// route is a page or a form, and the act that the role must allow; "" is
// anybody who is signed in.
type route struct {
	method, path string
	act          access.Act
	do           func(*page) error
}

// own are about the person and no project.
func (s *console) own() []route {
	return []route{
		{http.MethodGet, "/", "", s.start},
		{http.MethodGet, "/help", "", s.help},
		{http.MethodGet, "/settings", "", s.settings},
		{http.MethodPost, "/settings/recovery-codes", "", s.proved(s.newRecoveryCodes)},
		{http.MethodGet, "/confirm", "", s.heldPage},
		{http.MethodGet, "/confirm/issuer", "", s.confirmByIssuer},
		{http.MethodPost, "/settings", "", s.setSettings},
		{http.MethodPost, "/settings/sessions/:id/end", "", s.endOwnSession},
	}
}

// routes stand below /console/{project}/{mode}.
func (s *console) routes() []route {
	return []route{
		{http.MethodGet, "", access.ActRead, s.toHome},
		{http.MethodGet, "/home", access.ActRead, s.home},

		{http.MethodGet, "/pauses", access.ActPauseCountry, s.pauses},
		{http.MethodPost, "/pauses", access.ActPauseCountry, s.pauseCountry},
		{http.MethodPost, "/pauses/resume", access.ActPauseCountry, s.resumePaused},
		{http.MethodGet, "/audit", access.ActAuditLog, s.audit},
		{http.MethodGet, "/keys", access.ActKeys, s.keys},
		{http.MethodPost, "/keys", access.ActKeys, s.proved(s.createKey)},
		{http.MethodPost, "/keys/:id/revoke", access.ActKeys, s.proved(s.revokeKey)},
		{http.MethodPost, "/keys/:id/rotate", access.ActKeys, s.proved(s.rotateKey)},
		{http.MethodGet, "/webhooks", access.ActWebhooks, s.webhooks},
		{http.MethodPost, "/webhooks", access.ActWebhooks, s.createWebhook},
		{http.MethodGet, "/webhooks/:id", access.ActWebhooks, ofWebhook(s.webhook)},
		{http.MethodPost, "/webhooks/:id", access.ActWebhooks, ofWebhook(s.changeWebhook)},
		{http.MethodGet, "/webhooks/:id/rotate", access.ActWebhooks, s.shownAt},
		{http.MethodPost, "/webhooks/:id/rotate", access.ActWebhooks, ofWebhook(s.rotateWebhook)},
		{http.MethodPost, "/webhooks/:id/test", access.ActWebhooks, ofWebhook(s.testWebhook)},
		{http.MethodPost, "/webhooks/:id/recover", access.ActWebhooks, ofWebhook(s.recoverWebhook)},
		{http.MethodPost, "/webhooks/:id/delete", access.ActWebhooks, ofWebhook(s.deleteWebhook)},
		{http.MethodGet, "/events", access.ActWebhooks, s.events},
		{http.MethodGet, "/events/:id", access.ActWebhooks, ofEvent(s.event)},
		{http.MethodPost, "/events/:id/redeliver", access.ActWebhooks, ofEvent(s.redeliverEvent)},
		{http.MethodGet, "/messages", access.ActMessages, s.messages},
		{http.MethodGet, "/messages/proof", access.ActMessages, s.messageDraft},
		{http.MethodGet, "/messages/:language/:situation", access.ActMessages, s.message},
		{http.MethodPost, "/messages/:language/:situation", access.ActMessages, s.changeMessage},
		{http.MethodGet, "/messages/:language/:situation/restore", access.ActMessages, s.shownAt},
		{http.MethodPost, "/messages/:language/:situation/restore", access.ActMessages, s.restoreMessage},
		{http.MethodGet, "/messages/:language/:situation/copy", access.ActMessages, s.shownAt},
		{http.MethodPost, "/messages/:language/:situation/copy", access.ActMessages, s.copyMessage},
		{http.MethodGet, "/team", access.ActStaff, s.team},
		{http.MethodPost, "/team", access.ActStaff, s.proved(s.inviteColleague)},
		{http.MethodPost, "/team/:id/disable", access.ActStaff, s.ofColleague(s.disableStaff)},
		{http.MethodPost, "/team/:id/enable", access.ActStaff, s.ofColleague(s.enableStaff)},
		{http.MethodPost, "/team/:id/role", access.ActStaff, s.ofColleague(s.setColleagueRole)},
		{http.MethodPost, "/team/:id/link", access.ActStaff, s.ofColleague(s.newPasswordLink)},
		{http.MethodPost, "/team/:id/factor", access.ActStaff, s.ofColleague(s.resetColleagueFactor)},
		{http.MethodPost, "/team/sessions/:id/end", access.ActStaff, s.proved(s.endSession)},
		{http.MethodGet, "/system", access.ActTechnical, s.system},
		{http.MethodPost, "/system/:channel/stop", access.ActPause, s.stopSending},
		{http.MethodPost, "/system/:channel/resume", access.ActPause, s.resumeSending},

		{http.MethodGet, "/search", access.ActRead, s.search},
		{http.MethodPost, "/search", access.ActRead, s.searchFor},
		{http.MethodGet, "/search/export", access.ActExport, ofOwnPage(s.exportSearch)},
		{http.MethodGet, "/invites", access.ActRead, s.invites},
		{http.MethodGet, "/invites/export", access.ActExport, ofOwnPage(s.exportInvites)},
		{http.MethodGet, "/invites/:id", access.ActRead, s.invite},
		{http.MethodGet, "/invites/:id/saw", access.ActRead, ofInvite(s.showPreview)},
		{http.MethodGet, "/invites/:id/mail", access.ActRead, ofInvite(s.mail)},
		{http.MethodGet, "/invites/:id/page", access.ActRead, ofInvite(s.landing)},
		{http.MethodGet, "/invites/:id/unmask", access.ActRead, s.shownAt},
		{http.MethodPost, "/invites/:id/unmask", access.ActUnmask, s.provedInBulk(ofInvite(s.unmask))},
		{http.MethodGet, "/invites/:id/resend", access.ActResend, ofInvite(s.resendForm)},
		{http.MethodPost, "/invites/:id/resend", access.ActResend, ofInvite(s.resend)},
		{http.MethodGet, "/invites/:id/check", access.ActResend, s.shownAt},
		{http.MethodPost, "/invites/:id/check", access.ActResend, ofInvite(s.checkConnection)},
		{http.MethodGet, "/invites/:id/reconnect", access.ActResend, s.shownAt},
		{http.MethodPost, "/invites/:id/reconnect", access.ActResend, ofInvite(s.reconnect)},
		{http.MethodGet, "/invites/:id/extend", access.ActExtend, ofInvite(s.extendForm)},
		{http.MethodPost, "/invites/:id/extend", access.ActExtend, ofInvite(s.extend)},
		{http.MethodGet, "/invites/:id/revoke", access.ActRevoke, ofInvite(s.revokeForm)},
		{http.MethodPost, "/invites/:id/revoke", access.ActRevoke, ofInvite(s.revoke)},
		{http.MethodGet, "/invites/:id/link", access.ActCopyLink, ofInvite(s.linkForm)},
		{http.MethodPost, "/invites/:id/link", access.ActCopyLink, ofInvite(s.link)},
		{http.MethodGet, "/invites/:id/take", access.ActRead, s.shownAt},
		{http.MethodPost, "/invites/:id/take", access.ActTake, ofInvite(s.take)},
		{http.MethodGet, "/invites/:id/let-go", access.ActRead, s.shownAt},
		{http.MethodPost, "/invites/:id/let-go", access.ActLetGo, ofInvite(s.letGo)},
		{http.MethodGet, "/invites/:id/notes", access.ActRead, s.shownAt},
		{http.MethodPost, "/invites/:id/notes", access.ActNote, ofInvite(s.writeNote)},
		{http.MethodPost, "/invites/:id/notes/:note/delete", access.ActDeleteNote, ofInvite(s.deleteNote)},
		{http.MethodGet, "/views", access.ActRead, s.views},
		{http.MethodPost, "/views", access.ActRead, s.saveView},
		{http.MethodGet, "/views/:id", access.ActRead, s.shownAt},
		{http.MethodPost, "/views/:id", access.ActRead, s.changeView},
		{http.MethodGet, "/bulk", access.ActRead, s.bulks},
		{http.MethodPost, "/bulk", access.ActBulk, s.startBulk},
		{http.MethodGet, "/bulk/correct", access.ActBulk, s.correctForm},
		{http.MethodPost, correctPath, access.ActBulk, s.correctByFile},
		{http.MethodGet, "/bulk/:id", access.ActRead, ofBulk(s.bulkAct)},
		{http.MethodGet, "/bulk/:id/export", access.ActExport, ofOwnPage(ofBulk(s.exportBulk))},
		{http.MethodGet, "/bulk/:id/confirm", access.ActRead, s.shownAt},
		{http.MethodPost, "/bulk/:id/confirm", access.ActBulk, ofBulk(s.confirmBulk)},
		{http.MethodGet, "/bulk/:id/stop", access.ActRead, s.shownAt},
		{http.MethodPost, "/bulk/:id/stop", access.ActBulk, ofBulk(s.stopBulk)},
		{http.MethodGet, "/new", access.ActCreate, s.newForm},
		{http.MethodPost, "/new", access.ActCreate, s.create},
		{http.MethodGet, "/new/apps", access.ActCreate, s.appsLike},
		{http.MethodGet, "/new/proof", access.ActCreate, s.showDraft},
		{http.MethodGet, "/people/:id", access.ActRead, ofInvite(s.people)},
		{http.MethodGet, "/people/:id/export", access.ActExport, ofOwnPage(ofInvite(s.exportPerson))},
		{http.MethodPost, "/people/:id/erase", access.ActErase, s.proved(ofInvite(s.erase))},
		{http.MethodGet, "/blocks", access.ActRead, s.blocks},
		{http.MethodPost, "/blocks", access.ActBlock, s.addBlock},
		{http.MethodGet, "/blocks/find", access.ActRead, s.shownAt},
		{http.MethodPost, "/blocks/find", access.ActRead, s.findBlocks},
		{http.MethodGet, "/blocks/import", access.ActRead, s.shownAt},
		{http.MethodPost, "/blocks/import", access.ActBlockMany, s.importBlocks},
		{http.MethodGet, "/blocks/:id", access.ActRead, s.block},
		{http.MethodGet, "/blocks/:id/unmask", access.ActRead, s.shownAt},
		{http.MethodPost, "/blocks/:id/unmask", access.ActUnmask, s.provedInBulk(s.unmaskBlock)},
		{http.MethodGet, "/blocks/:id/lift", access.ActRead, s.shownAt},
		{http.MethodPost, "/blocks/:id/lift", access.ActLiftBlock, s.liftBlock},
	}
}

// correctPath is where a file of corrections is sent to.
const correctPath = "/bulk/correct"

// body is the size of the body that the route takes.
func (r route) body() int64 {
	if r.path == correctPath {
		return fileBodyLimit
	}
	return bodyLimit
}

// ofInvite makes a page of one about the invite that the path names; where there is
// no such invite, it is the page that says so.
func ofInvite(do func(*page, opened) error) func(*page) error {
	return func(p *page) error {
		o, err := p.invite()
		if err != nil {
			return p.orMissing(err)
		}
		return do(p, o)
	}
}

// shownAt redirects from the address of a form's answer to the page that
// contains the form, so that a sign-in or a change of language returns to the
// page in the address bar.
func (s *console) shownAt(p *page) error {
	here := p.Request().URL.EscapedPath()
	return p.Redirect(http.StatusSeeOther, here[:strings.LastIndexByte(here, '/')])
}
