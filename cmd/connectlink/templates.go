package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/templates"
)

type templatesCommand struct {
	Check templatesCheckCommand `cmd:"" help:"Render every message and page in every language with long and hostile values, and report faults. Sends nothing."`
	List  templatesListCommand  `cmd:"" help:"List the files that a project's own folder may replace."`
}

type templatesListCommand struct{}

// Run prints the names, one a line.
func (templatesListCommand) Run(e *env) error {
	for _, name := range templates.Names() {
		if strings.HasSuffix(name, ".js") {
			continue
		}
		if _, err := fmt.Fprintln(e.stdout, name); err != nil {
			return err
		}
	}
	return nil
}

type templatesCheckCommand struct {
	settings
	Dir string `type:"path" placeholder:"DIR" help:"Check this folder of texts for every project, instead of the configured ones."`
}

// Run checks the texts of every project.
func (c *templatesCheckCommand) Run(e *env) error {
	cfg, err := c.load(e, keysetVariable, databaseVariable)
	if err != nil {
		return err
	}
	bad := 0
	for _, p := range cfg.Projects {
		if c.Dir != "" {
			p.TemplatesDir = c.Dir
		}
		r, err := checkTexts(cfg, p)
		if err != nil {
			r.faults = append(r.faults, err.Error())
		}
		bad += len(r.faults)
		if err := r.print(e, p); err != nil {
			return err
		}
	}
	if bad > 0 {
		return &exitError{exitFailed, errors.New("the templates have faults")}
	}
	return nil
}

// textReport is what a check of one project's texts found.
type textReport struct {
	lines            []string // one a language
	faults, warnings []string
	isOneWay         bool // people cannot reply to the sender of texts
}

func (r *textReport) print(e *env, p config.Project) error {
	var b bytes.Buffer
	from := "built in"
	if p.TemplatesDir != "" {
		from = p.TemplatesDir
	}
	fmt.Fprintf(&b, "project %s (%s)\n", p.ID, from)
	for _, l := range r.lines {
		fmt.Fprintln(&b, "  "+l)
	}
	slices.Sort(r.warnings)
	for _, w := range slices.Compact(r.warnings) {
		fmt.Fprintln(&b, "  warning:", w)
	}
	slices.Sort(r.faults)
	for _, f := range slices.Compact(r.faults) {
		fmt.Fprintln(&b, "  fault:", strings.ReplaceAll(f, "\n", "\n         "))
	}
	_, err := e.stdout.Write(b.Bytes())
	return err
}

func checkTexts(cfg *config.Config, p config.Project) (*textReport, error) {
	r := &textReport{isOneWay: app.OneWay(cfg, p)}
	var fsys fs.FS = templates.FS
	if p.TemplatesDir != "" {
		var err error
		if fsys, err = templates.Over(p.TemplatesDir); err != nil {
			return r, err
		}
	}
	// Parsing renders everything once: a fault of syntax or a field that does
	// not exist ends here, with its file and line.
	messages, errMessages := message.NewRenderer(fsys)
	pages, errPages := page.New(fsys)
	if err := errors.Join(errMessages, errPages); err != nil {
		return r, err
	}
	composer, err := compose.New(compose.Params{
		PublicURL: tryURL, Messages: func(invite.Place) *message.Renderer { return messages }, Pages: func(string) *page.Pages { return pages },
	})
	if err != nil {
		return r, err
	}
	r.brand(cfg, p)
	for _, lang := range messages.Languages() {
		if err := r.language(p, composer, lang); err != nil {
			return r, err
		}
	}
	return r, nil
}

// brand looks at what does not depend on a language.
func (r *textReport) brand(cfg *config.Config, p config.Project) {
	if logo, err := url.Parse(p.Brand.LogoURL); err == nil && logo.Host != "" && (cfg.PublicURL == nil || logo.Host != cfg.PublicURL.Host) {
		r.warnings = append(r.warnings, "brand.logo_url: pages and mails load it from "+logo.Host+
			", which so learns who opens them; no other request leaves the pages. Without a logo the name stands in type")
	}
	if p.Brand.SupportEmail == "" {
		r.warnings = append(r.warnings, "brand.support_email: not set, so pages and emails show no support address")
	}
	if p.SendGrid.From != "" && p.SendGrid.ReplyTo == "" {
		r.warnings = append(r.warnings, "sendgrid.reply_to: not set, so replies go to "+"the sender's own mailbox")
	}
}

const tryURL = "https://go.example.com"

func (r *textReport) language(p config.Project, composer *compose.Composer, lang string) error {
	largest, most, worst := 0, 0, ""
	usual := message.Inspection{}
	for name, value := range compose.Trials() {
		for _, kind := range []string{invite.KindFirst, invite.KindResend, invite.KindReminder} {
			for _, by := range []invite.InitiatedBy{invite.ByProduct, invite.ByUser} {
				m := composer.TryMessage(p, lang, value)
				m.Kind, m.InitiatedBy, m.OneWay = kind, by, r.isOneWay
				seen, err := composer.Inspect(m)
				if err != nil {
					return err
				}
				if name == "usual" && kind == invite.KindFirst && by == invite.ByProduct {
					usual = seen
				}
				largest = max(largest, len(seen.Email.HTML.Reveal()))
				if seen.SMS.Segments > most {
					most, worst = seen.SMS.Segments, name
				}
				for _, f := range composer.Check(m, seen) {
					r.faults = append(r.faults, fmt.Sprintf("%s, %s message, %s values: %s", lang, kind, name, f))
				}
			}
		}
		if err := r.pages(lang, p, composer, value); err != nil {
			return err
		}
	}
	for _, w := range usual.Warnings {
		detail := w.Detail
		if strings.HasPrefix(w.Code, "sms_") || strings.HasSuffix(w.Code, "_shortened") {
			detail = lang + ": " + detail
		}
		r.warnings = append(r.warnings, detail)
	}
	r.lines = append(r.lines, fmt.Sprintf("%-6s mail %d bytes at most; text message %d units of %s in %d, %d at most (%s values); %d pages",
		lang, largest, usual.Units, usual.Encoding, usual.SMS.Segments, most, worst, len(page.States())))
	return nil
}

func (r *textReport) pages(lang string, p config.Project, composer *compose.Composer, value compose.Trial) error {
	m := composer.TryMessage(p, lang, value)
	m.App.AuthType = "oauth"
	var shown []compose.PreviewPage
	m.Content.Recipient.Phone = "+12025550100"
	// Pages have words of their own for each channel, for a link that the product
	// showed itself (no channel), and for links that ask for a code.
	for _, ch := range append(invite.Channels(), "") {
		for _, asks := range []bool{false, true} {
			pages, err := composer.PreviewPages(compose.Page{
				Invite: m.Invite, Via: ch, OneWay: r.isOneWay, AccountName: value.Person, AsksCode: asks,
			}, lang)
			if err != nil {
				return err
			}
			shown = append(shown, pages...)
		}
	}
	for _, one := range shown {
		fault := func(format string, args ...any) {
			text := fmt.Sprintf("%s/pages/%s.html: ", lang, one.State) + fmt.Sprintf(format, args...)
			if !slices.Contains(r.faults, text) {
				r.faults = append(r.faults, text)
			}
		}
		if n := len(one.HTML); n > 50_000 {
			fault("the page has %d bytes; want at most 50,000", n)
		}
		// Input is shown on the page as text.
		src := strings.ReplaceAll(one.HTML, value.Words, "")
		for _, host := range composer.ForeignHosts(p, strings.ReplaceAll(src, "https://evil.example", "")) {
			fault("the page names %s, which is neither this service's nor the project's", host)
		}
	}
	return nil
}
