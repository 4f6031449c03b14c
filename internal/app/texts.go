package app

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/templates"
)

// texts are what recipients read.
type texts struct {
	messages *message.Renderer
	pages    *page.Pages
}

// readTexts reads the texts in fsys. Languages that one of others has with the
// same files are shared with it.
func readTexts(fsys fs.FS, others ...texts) (t texts, err error) {
	var messages []*message.Renderer
	var pages []*page.Pages
	for _, o := range others {
		messages, pages = append(messages, o.messages), append(pages, o.pages)
	}
	if t.messages, err = message.NewRenderer(fsys, messages...); err != nil {
		return texts{}, err
	}
	if t.pages, err = page.New(fsys, pages...); err != nil {
		return texts{}, err
	}
	return t, nil
}

// openTemplates reads the built-in texts and those of the projects. Every
// process needs all of them: the API shows previews of messages, the workers
// send them. One project's fault stops the start, because a message that cannot
// be rendered would otherwise be found only when it is due.
func (a *App) openTemplates() (err error) {
	builtIn := a.opt.builtIn
	if builtIn == nil {
		builtIn = func() (texts, error) { return readTexts(templates.FS) }
	}
	if a.texts, err = builtIn(); err != nil {
		return fmt.Errorf("the built-in templates: %w", err)
	}
	a.ownTexts = map[string]texts{}
	read := []texts{a.texts}
	var faults []error
	for _, p := range a.cfg.Projects {
		if p.TemplatesDir == "" {
			continue
		}
		var own texts
		fsys, err := templates.Over(p.TemplatesDir)
		if err == nil {
			own, err = readTexts(fsys, read...)
		}
		if err == nil {
			a.ownTexts[p.ID], read = own, append(read, own)
		} else {
			faults = append(faults, fmt.Errorf("templates of project %s: %w", p.ID, err))
		}
	}
	return errors.Join(faults...)
}

// openWordings puts the texts that staff stored over those of the templates, and opens
// what renders messages with them.
func (a *App) openWordings() (err error) {
	var places []invite.Place
	for _, p := range a.cfg.Projects {
		places = append(places, invite.Place{Project: p.ID}, invite.Place{Project: p.ID, Live: true})
	}
	own := func(project string) *message.Renderer { return a.textsOf(project).messages }
	if a.wordings, err = reword.NewBoard(a.work, places, own, a.log); err != nil {
		return err
	}
	if a.composer, err = compose.New(compose.Params{PublicURL: a.public, Messages: a.wordings.Messages, Pages: a.pagesOf, Logo: a.logos.PathOf}); err != nil {
		return err
	}
	a.reword, err = reword.New(reword.Params{DB: a.api, Board: a.wordings, Composer: a.composer, Project: a.cfg.Project, OneWay: a.isOneWay})
	return err
}

func (a *App) textsOf(project string) texts {
	if t, ok := a.ownTexts[project]; ok {
		return t
	}
	return a.texts
}

func (a *App) pagesOf(project string) *page.Pages { return a.textsOf(project).pages }

func (a *App) ownPages() map[string]*page.Pages {
	out := map[string]*page.Pages{}
	for project, t := range a.ownTexts {
		out[project] = t.pages
	}
	return out
}
