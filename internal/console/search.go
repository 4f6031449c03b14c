package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
)

// searchPage shows the results of a search.
type searchPage struct {
	*view.Base
	Text  string
	Over  bool // the handle in the address is of no search any more
	Hits  []inviteRow
	Count string // the position of the page among the hits
	Cut   bool   // the last page, and there are more hits than are listed

	Newer, Older string
	Export       exportLinks
	Bulk         *bulkBar

	Blocks []blockRow // suppressions of the address that was searched for

	Similar []inviteRow
	// Elsewhere are places with the invite that an id or a link names.
	Elsewhere []elsewhere
	// Folded are those that share nothing but the domain; Others of them are not
	// listed at all.
	Folded []inviteRow
	Others int
}

// elsewhere is an invite of another project or mode that the person may open.
type elsewhere struct{ Project, Mode, URL string }

// maxElsewhere is how many other projects and modes a search looks into.
const maxElsewhere = 40

// perPage is how many invites a page lists.
const perPage = 25

// searchFor stores the search text and redirects to the page that answers it:
// addresses and numbers must not appear in a URL.
func (s *console) searchFor(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	return p.toSearch(form.Get("q"))
}

func (p *page) toSearch(text string) error {
	if text = strings.TrimSpace(text); text == "" {
		return p.Redirect(http.StatusSeeOther, p.frame.URL("search"))
	}
	handle, err := p.Staff.KeepSearch(p.ctx(), p.signed.Session.ID, text)
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, withQuery(p.frame.URL("search"), "of", handle))
}

// search finds invites by any identifier. An exact match opens at once.
func (s *console) search(p *page) error {
	// A text in the URL, as an old bookmark has it, does not stay there.
	if text := p.QueryParam("q"); text != "" {
		return p.toSearch(text)
	}
	b := p.base(p.t("Search"), "")
	d := searchPage{Base: b}
	if handle := p.QueryParam("of"); handle != "" {
		text, found, err := s.Staff.Search(p.ctx(), p.signed.Session.ID, handle)
		if err != nil {
			return err
		}
		b.Query, d.Text, d.Over = text, text, !found
	}
	if d.Text == "" {
		return p.show("search", d)
	}
	text := d.Text
	at := placeOf(p)
	q := find.Query{Place: p.by.Place, Region: p.project.Brand.Region, Text: text, Limit: perPage}
	q.After, _ = invite.Parse[invite.ID](at.after)
	q.Before, _ = invite.Parse[invite.ID](at.before)
	var found find.Found
	err := s.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
		found, err = find.Search(p.ctx(), db, s.Box, q)
		return err
	})
	if err != nil {
		return err
	}
	if found.Count.Total == 1 && len(found.Hits) == 1 && isExactMatch(found.Hits[0].By) {
		return p.Redirect(http.StatusSeeOther, b.URL("invites", found.Hits[0].ID.String()))
	}
	if d.Blocks, _, err = s.blocksOf(p, p.searchAddress(text)); err != nil {
		return err
	}
	if d.Hits, err = p.rowsOf(found.Hits); err != nil {
		return err
	}
	if err := s.markOwners(p, d.Hits); err != nil {
		return err
	}
	// All of them share the searched text.
	if !slices.ContainsFunc(found.Hits, func(h find.Hit) bool { return h.By != found.Hits[0].By }) {
		for i := range d.Hits {
			d.Hits[i].Why = ""
		}
	}
	better := slices.IndexFunc(found.Similar, func(h find.Hit) bool { return h.By == find.ByDomain })
	if better < 0 {
		better = len(found.Similar)
	}
	if d.Similar, err = p.rowsOf(found.Similar[:better]); err != nil {
		return err
	}
	if d.Folded, err = p.rowsOf(found.Similar[better:]); err != nil {
		return err
	}
	d.Others = found.AtDomain
	if n := len(found.Hits); n > 0 {
		d.Count, d.Cut = p.position(found.Count, n), !found.More && found.Count.Least
		d.Newer, d.Older = p.besideHits(found)
		d.Export = p.exportLinks(b.URL("search"), false, "of", p.QueryParam("of"))
		d.Bulk = p.bulkBar(d.Hits, found.Count.Total, found.Count.Least, "of", p.QueryParam("of"))
		if d.Bulk != nil && found.Count.Least {
			d.Bulk.All = p.t("The newest %d matches", find.MaxHits)
		}
	}
	if len(found.Hits) == 0 && find.IsName(text) {
		if d.Elsewhere, err = p.findElsewhere(text); err != nil {
			return err
		}
	}
	return p.show("search", d)
}

// findElsewhere looks for the invite that a text names in the other projects and modes where the
// person has a role: people hand on links, and do not know which project they are of.
func (p *page) findElsewhere(text string) ([]elsewhere, error) {
	var out []elsewhere
	places := p.frame.Places
	for _, place := range places[:min(len(places), maxElsewhere)] {
		if place.Current {
			continue
		}
		var found find.Found
		err := p.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
			found, err = find.Search(p.ctx(), db, p.Box, find.Query{Place: invite.Place{Project: place.ProjectID, Live: place.Live}, Text: text, Limit: 1})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, h := range found.Hits {
			out = append(out, elsewhere{place.Project, p.modeName(place.Live), place.InviteURL(h.ID.String())})
		}
	}
	return out, nil
}

// modeName is what a mode is called.
func (p *page) modeName(live bool) string {
	if live {
		return p.t("Live")
	}
	return p.t("Test")
}

// besideHits are the addresses of the pages beside one of a search; empty where
// there is none.
func (p *page) besideHits(found find.Found) (newer, older string) {
	to := func(name string, h find.Hit) string {
		return withQuery(p.frame.URL("search"), "of", p.QueryParam("of"), name, h.ID.String())
	}
	if found.Count.Newer > 0 {
		newer = to("before", found.Hits[0])
	}
	if found.More {
		older = to("after", found.Hits[len(found.Hits)-1])
	}
	return newer, older
}

// isExactMatch reports whether the hit was named exactly, rather than being one
// of many.
func isExactMatch(by find.By) bool {
	return by != find.ByName && by != find.ByDomain && by != find.ByLast4
}

// inviteRow is an invite in a list. Its address is masked.
type inviteRow struct {
	ID, URL       string
	To, Name, App string
	Mark          appMark
	User          string
	Badge         view.Badge
	News          string            // the reason, or the next step
	Why           string            // what it was found by
	Typed         []contact.Stretch // the search text, with the differing letters marked
	Channel       string
	Owner         string // says that a person is on it
	Ends, Created time.Time
}

func (p *page) rowsOf(hits []find.Hit) ([]inviteRow, error) {
	out := make([]inviteRow, 0, len(hits))
	for _, h := range hits {
		r, err := p.row(h.Invite)
		if err != nil {
			return nil, err
		}
		r.Why = p.foundBy(h.By)
		if h.Slips > 0 && h.By == find.ByEmail {
			r.Why = p.t("A similar address")
		}
		// A viewer must not learn by guesses how near an address is.
		if h.Slips > 0 && p.by.May(access.ActUnmask) {
			r.Why = p.differs(h)
			if r.Typed, err = p.slips(h); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// differs returns the number of letters by which the address of a hit
// differs from the search text.
func (p *page) differs(h find.Hit) string {
	switch {
	case h.By == find.ByPhone && h.Slips == 1:
		return p.t("One digit differs:")
	case h.By == find.ByPhone:
		return p.frame.TN("%d digit differs:", "%d digits differ:", h.Slips)
	case h.Slips == 1:
		return p.t("One letter differs:")
	}
	return p.frame.TN("%d letter differs:", "%d letters differ:", h.Slips)
}

// slips marks the letters of the search text that differ from the address
// of a hit.
func (p *page) slips(h find.Hit) ([]contact.Stretch, error) {
	o, err := p.open(h.Invite)
	if err != nil {
		return nil, err
	}
	meant := o.content.Recipient.Phone
	if h.By == find.ByEmail {
		meant = contact.SearchEmail(o.content.Recipient.Email)
	}
	return contact.Slips(h.Typed, meant), nil
}

// foundBy returns the property that a similar invite shares with the
// search text.
func (p *page) foundBy(by find.By) string {
	switch by {
	case find.ByEmail:
		return p.t("Same name before the @")
	case find.ByPhone:
		return p.t("A similar number")
	case find.ByDomain:
		return p.t("Same domain")
	case find.ByName:
		return p.t("Same name")
	case find.ByLast4:
		return p.t("Same last four digits")
	case find.ByInvite, find.ByReference, find.ByDelivery, find.ByRequest, find.ByLink, find.ByConnectLink, find.ByMessage, find.ByUser, find.ByAccount:
	}
	return ""
}
