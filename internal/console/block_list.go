package console

import (
	"encoding/csv"
	"errors"
	"net/http"
	"strings"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/suppress"
)

// importForm is the form that blocks many addresses.
type importForm struct {
	List, Reason string
	Max          int
}

// findBlocks lists the suppressions of one address. The address is in the form's body: it must
// not appear in a URL.
func (s *console) findBlocks(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, err := s.blocksData(p)
	if err != nil {
		return err
	}
	d.Find = strings.TrimSpace(form.Get("find"))
	if d.Find == "" {
		return p.Redirect(http.StatusSeeOther, d.Clear)
	}
	rows, found, err := s.blocksOf(p, p.searchAddress(d.Find))
	if err != nil {
		return err
	}
	if !found {
		d.Faults = []Fault{{"find", p.t("This is not a valid email address or phone number.")}}
		return p.wrong("blocks", d)
	}
	d.Rows, d.Older, d.Found = rows, "", true
	return p.show("blocks", d)
}

// searchAddress returns a phone number in the form that it is stored in; an email address as it
// is.
func (p *page) searchAddress(text string) string {
	if strings.Contains(text, "@") {
		return text
	}
	if phone, _ := contact.SearchPhone(text, p.project.Brand.Region); phone != "" {
		return phone
	}
	return text
}

// maxLineFaults is how many faults of an import are listed.
const maxLineFaults = 20

// importBlocks blocks the addresses of a list.
func (s *console) importBlocks(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	f := importForm{List: form.Get("list"), Reason: form.Get("import_reason")}
	lines := firstColumn(f.List)
	for i, text := range lines {
		lines[i] = p.searchAddress(text)
	}
	out, err := s.Blocks.Import(p.ctx(), p.by, lines, f.Reason)
	var faults []Fault
	var e *invite.Error
	switch {
	case errors.As(err, &e) && e.Code == invite.CodeInvalidRequest:
		faults = append(faults, Fault{"import_reason", p.t("Enter a reason for colleagues who look at this suppression later.")})
	case err != nil:
		return err
	case out.Lines > 0:
		faults = append(faults, Fault{"list", p.t("The list has %d addresses; one import takes at most %d.", out.Lines, suppress.MaxImport)})
	case len(out.Faults) == 0 && out.Added+out.Before == 0:
		faults = append(faults, Fault{"list", p.t("Enter one address on each line.")})
	}
	for i, one := range out.Faults {
		if i == maxLineFaults {
			faults = append(faults, Fault{"list", p.frame.TN("%d more line is not an address.", "%d more lines are not addresses.", len(out.Faults)-i)})
			break
		}
		faults = append(faults, Fault{"list", p.t("Line %d: “%s” is not an email address or a phone number with its country code.", one.Line, shorten(one.Text))})
	}
	if len(faults) > 0 {
		d, err := s.blocksData(p)
		if err != nil {
			return err
		}
		d.Import, d.Faults = f, faults
		d.Import.Max = suppress.MaxImport
		return p.wrong("blocks", d)
	}
	text := p.frame.TN("%d address is suppressed.", "%d addresses are suppressed.", out.Added)
	if out.Before > 0 {
		text += " " + p.frame.TN("%d was suppressed before.", "%d were suppressed before.", out.Before)
	}
	return p.done(p.frame.URL("blocks"), "good", text)
}

// shorten bounds what a fault quotes.
func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// firstColumn returns the first column of each line of a list, which may be a file of a provider
// with more columns. A first line that names the column is empty.
func firstColumn(list string) []string {
	var out []string
	for line := range strings.Lines(list) {
		text := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if r := csv.NewReader(strings.NewReader(text)); text != "" {
			r.LazyQuotes, r.TrimLeadingSpace = true, true
			if fields, err := r.Read(); err == nil {
				text = strings.TrimSpace(fields[0])
			}
		}
		switch strings.ToLower(text) {
		case "email", "address", "phone", "recipient", "to":
			if len(out) == 0 {
				text = ""
			}
		}
		out = append(out, text)
	}
	return out
}
