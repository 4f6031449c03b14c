package app

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/templates"
)

// texts are what recipients read.
type texts struct {
	messages *message.Renderer
	pages    *page.Pages
}

func readTexts(fsys fs.FS) (t texts, err error) {
	if t.messages, err = message.NewRenderer(fsys); err != nil {
		return texts{}, err
	}
	if t.pages, err = page.New(fsys); err != nil {
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
	var faults []error
	for _, p := range a.cfg.Projects {
		if p.TemplatesDir == "" {
			continue
		}
		fsys, err := templates.Over(p.TemplatesDir)
		if err == nil {
			a.ownTexts[p.ID], err = readTexts(fsys)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("templates of project %s: %w", p.ID, err))
		}
	}
	return errors.Join(faults...)
}

func (a *App) textsOf(project string) texts {
	if t, ok := a.ownTexts[project]; ok {
		return t
	}
	return a.texts
}

func (a *App) messagesOf(project string) *message.Renderer { return a.textsOf(project).messages }

func (a *App) pagesOf(project string) *page.Pages { return a.textsOf(project).pages }

func (a *App) ownPages() map[string]*page.Pages {
	out := map[string]*page.Pages{}
	for project, t := range a.ownTexts {
		out[project] = t.pages
	}
	return out
}
