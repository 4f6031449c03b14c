package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/bulk"
)

// bulkFile is the selection of an act whose invites a file names.
const bulkFile = "file"

// fileBodyLimit is the size of the form with a file of corrections: the file, the same text pasted,
// and what a form has around them.
const fileBodyLimit = 2*issue.MaxCorrections + 64<<10

// shownFaults is how many lines with faults a page lists.
const shownFaults = 200

// correctPage is the form for a file of corrections.
type correctPage struct {
	*view.Base
	Back   string
	Action string // of the form
	Text   string
	Most   int // lines
	Faults []Fault
	More   int // faults beyond those that are listed
}

// Wrong is the fault of the field; templates ask for it.
func (d correctPage) Wrong(string) string { return "" }

func (s *console) correctForm(p *page) error { return p.show("bulk_correct", s.correctData(p, "")) }

func (s *console) correctData(p *page, text string) correctPage {
	b := p.base(p.t("Correct addresses by CSV"), "invites")
	return correctPage{Base: b, Back: s.listOf(p), Action: withQuery(b.URL("bulk", "correct"), p.listMembers()...), Text: text, Most: issue.MaxBulkOf(p.by)}
}

// correctByFile makes the dry run of a file of corrections. With faults the form shows all of
// them, and the text, so that nothing is lost.
func (s *console) correctByFile(p *page) error {
	form, err := postedForm(p.Request())
	if err != nil {
		return err
	}
	text := form.Get("text")
	d := s.correctData(p, text)
	if text == "" {
		d.Faults = []Fault{{"text", p.t("Choose a file, or paste its lines.")}}
		return p.wrong("bulk_correct", d)
	}
	if !utf8.ValidString(text) {
		d.Text, d.Faults = "", []Fault{{"text", p.t("The file is not UTF-8 text. Save it as CSV UTF-8, then choose it again.")}}
		return p.wrong("bulk_correct", d)
	}
	if len(text) > issue.MaxCorrections {
		d.Faults = []Fault{{"text", p.t("The file is too large. Divide it into several.")}}
		return p.wrong("bulk_correct", d)
	}
	targets, faults, err := s.Invites.ReadCorrections(p.ctx(), p.by, text)
	var size *issue.BulkSizeError
	if errors.As(err, &size) {
		d.Faults = []Fault{{"text", p.t("The file has more than %d lines. Divide it into several.", size.Most)}}
		return p.wrong("bulk_correct", d)
	}
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		for _, f := range faults[:min(len(faults), shownFaults)] {
			d.Faults = append(d.Faults, Fault{"text", p.lineFault(f)})
		}
		d.More = len(faults) - len(d.Faults)
		return p.wrong("bulk_correct", d)
	}
	id, err := s.Invites.PlanBulk(p.ctx(), p.by, issue.BulkRequest{Kind: bulk.Correct, Selection: bulkFile, Targets: targets})
	if refusal := p.bulkRefusal(err); refusal != "" {
		d.Faults = []Fault{{"text", refusal}}
		return p.wrong("bulk_correct", d)
	}
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, p.bulkURL(id))
}

// postedForm is a posted form. A chosen file counts as the text of the field "text", so that the
// form is kept over a sign-in, and shown again with its faults, as any other. Errors: malformed.
func postedForm(r *http.Request) (url.Values, error) {
	malformed := invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	err := r.ParseMultipartForm(fileBodyLimit)
	if errors.Is(err, http.ErrNotMultipart) {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, malformed
	}
	if r.MultipartForm == nil {
		return r.PostForm, nil
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	if files := r.MultipartForm.File["file"]; len(files) > 0 && files[0].Size > 0 {
		f, err := files[0].Open()
		if err != nil {
			return nil, malformed
		}
		defer func() { _ = f.Close() }()
		raw, err := io.ReadAll(f)
		if err != nil {
			return nil, malformed
		}
		r.PostForm.Set("text", string(raw))
	}
	return r.PostForm, nil
}
