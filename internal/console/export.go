package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/web"
)

const (
	// exportLongest is longer than an export reads, so that the end of the file still
	// gets out.
	exportLongest = export.MaxDuration + 2*time.Minute
	exportWrite   = 30 * time.Second
	// unreadable stands for what no key of the keyset opens. Files are in English.
	unreadable = "(no longer readable)"
)

// exportLinks lead to a list as files. They are empty for roles that may not export.
type exportLinks struct {
	CSV, JSON string
	Long      bool // the list can be longer than a file
}

// exportLinks are those of the list at an address.
func (p *page) exportLinks(address string, long bool, members ...string) exportLinks {
	if !p.by.May(access.ActExport) {
		return exportLinks{}
	}
	to := func(f export.Format) string {
		return withQuery(address+"/export", append(slices.Clone(members), "format", string(f))...)
	}
	return exportLinks{to(export.CSV), to(export.JSONLines), long}
}

// ofOwnPage refuses a file to links on other sites: there, the other site would choose
// when a person exports. They lead to the page of the list.
func ofOwnPage(do func(*page) error) func(*page) error {
	return func(p *page) error {
		if from := p.Request().Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
			u := *p.Request().URL
			q := u.Query()
			q.Del("format")
			u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/export"), "", q.Encode()
			return p.Redirect(http.StatusSeeOther, u.RequestURI())
		}
		return do(p)
	}
}

// invitesAfter reads a batch of a list. more is the id to go on from; cut reports that
// the list ends here because older matches are not listed.
type invitesAfter func(ctx context.Context, after invite.ID, limit int) (list []find.Invite, more invite.ID, cut bool, err error)

// exportInvites writes the list of invites, with the filters in the address.
func (s *console) exportInvites(p *page) error {
	narrowed := filtersOf(p)
	f := narrowed.filter(p)
	var names []string
	for members := narrowed.members(); len(members) > 0; members = members[2:] {
		if members[1] != "" {
			names = append(names, members[0])
		}
	}
	return s.export(p, "invites", names, func(ctx context.Context, after invite.ID, limit int) (list []find.Invite, more invite.ID, cut bool, err error) {
		if !narrowed.isPossible(f) {
			return nil, more, false, nil
		}
		f.After, f.Limit = after, limit
		list, more, err = s.listInvites(ctx, f)
		return list, more, false, err
	})
}

// exportPerson writes the invites of the person of one of them.
func (s *console) exportPerson(p *page, o opened) error {
	return s.export(p, "person", nil, func(ctx context.Context, after invite.ID, limit int) (list []find.Invite, more invite.ID, cut bool, err error) {
		if o.user == "" {
			return []find.Invite{o.Invite}, more, false, nil
		}
		list, more, err = s.listInvites(ctx, find.Filter{
			Place: p.by.Place, User: find.NewUser(p.Box, p.by.Place, o.user), Limit: limit, After: after,
		})
		return list, more, false, err
	})
}

// exportSearch writes the matches of a search.
func (s *console) exportSearch(p *page) error {
	text, ok, err := s.Staff.Search(p.ctx(), p.signed.Session.ID, p.QueryParam("of"))
	if err != nil {
		return err
	}
	if !ok {
		return p.Redirect(http.StatusSeeOther, withQuery(p.frame.URL("search"), "of", p.QueryParam("of"))) // the page tells that it expired
	}
	return s.export(p, "search", nil, func(ctx context.Context, after invite.ID, limit int) (list []find.Invite, more invite.ID, cut bool, err error) {
		var found find.Found
		err = s.Lists.Read(ctx, func(db postgres.DB) (err error) {
			found, err = find.Search(ctx, db, s.Box, find.Query{Place: p.by.Place, Region: p.project.Brand.Region, Text: text, Limit: limit, After: after})
			return err
		})
		for _, h := range found.Hits {
			list = append(list, h.Invite)
		}
		if found.More {
			more = list[len(list)-1].ID
		}
		return list, more, !found.More && found.Count.Least, err
	})
}

// export answers with a list of invites as a file.
func (s *console) export(p *page, name string, filters []string, read invitesAfter) error {
	list := export.List{Name: name, Filters: filters}
	list.Read = func(ctx context.Context, after invite.ID, limit int) (export.Batch, error) {
		invites, more, cut, err := read(ctx, after, limit)
		if err != nil {
			return export.Batch{}, err
		}
		rows, err := s.exportRows(ctx, p, invites)
		return export.Batch{Rows: rows, Next: more, Cut: cut}, err
	}
	return s.exportList(p, list)
}

// exportList answers with a list as a file, in the format that the address names.
func (s *console) exportList(p *page, list export.List) error {
	format := oneOf(p.QueryParam("format"), export.Formats()...)
	if format == "" {
		return p.missing()
	}
	list.Format, list.Still = export.Format(format), p.still
	file := web.Download{
		Name: strings.Join([]string{p.by.Project, p.Param("mode"), list.Name, p.frame.Now.Format(time.DateOnly)}, "-") + "." + format,
		Type: export.Format(format).Type(), Longest: exportLongest, Write: exportWrite,
	}
	err := file.Serve(p, func(ctx context.Context, to io.Writer) error { return s.Export.Write(ctx, p.by, list, to) })
	if errors.Is(err, export.ErrBusy) {
		web.Note(p, "rate_limited")
		p.Response().Header().Set("Retry-After", formatSeconds(time.Minute))
		return s.tell(p, p.base("", ""), http.StatusTooManyRequests, p.t("Another export is running"),
			p.t("You can run one export at a time. Wait until it ends, then try again."), "")
	}
	return err
}

// exportRows are invites as rows of a file, masked as in a list.
func (s *console) exportRows(ctx context.Context, p *page, list []find.Invite) ([]export.Row, error) {
	ids := make([]invite.ID, 0, len(list))
	for _, inv := range list {
		ids = append(ids, inv.ID)
	}
	var openedAt map[invite.ID]time.Time
	err := s.Lists.Read(ctx, func(db postgres.DB) (err error) {
		openedAt, err = find.Opened(ctx, db, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	owners, err := s.ownerNames(ctx, p, ids)
	if err != nil {
		return nil, err
	}
	rows, closed := make([]export.Row, 0, len(list)), 0
	for _, inv := range list {
		r, ok := p.exportRow(inv, openedAt[inv.ID])
		if !ok {
			closed++
		}
		r.Owner = owners[inv.ID]
		rows = append(rows, r)
	}
	if closed > 0 {
		s.Log.WarnContext(ctx, "invites that are exported do not open", "invites", closed)
	}
	return rows, nil
}

// exportRow is an invite as a row of a file. ok is false if its personal data cannot be
// opened.
func (p *page) exportRow(inv find.Invite, openedAt time.Time) (r export.Row, ok bool) {
	content, err := find.Open(p.Box, inv.ID, inv.Content)
	user, failed := inv.OpenUser(p.Box, inv.ID)
	o := opened{inv, content, user, p.by.May(access.ActUnmask)}
	r = export.Row{
		ID: inv.ID.String(), Reference: invite.ReferenceOf(inv.ID), CreatedAt: timeText(inv.CreatedAt),
		Status: string(inv.Status), Progress: string(inv.Progress), App: inv.AppSlug, Channel: string(inv.Channel),
		Recipient: o.to(), ExternalUserID: story.MaskText(user), Inviter: story.MaskText(content.Inviter),
		OpenedAt: timeText(openedAt), ConnectedAt: timeText(orZero(inv.ConnectedAt)),
	}
	if inv.DeliveryStatus != nil {
		r.DeliveryStatus, r.Reason = *inv.DeliveryStatus, *inv.DeliveryReason
	}
	if err != nil {
		r.Recipient = unreadable
	}
	if user == "" {
		r.ExternalUserID = unreadable
	}
	return r, err == nil && failed == nil
}

// timeText is a time in a file; empty for none.
func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
