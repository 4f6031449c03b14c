package console_test

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/reveal"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

// publicURL is where recipients reach the service.
const publicURL = "https://go.northwind.example"

// desk gives the console what support staff work with. There is no Pipedream
// here: what needs a mint is tested against a whole process in package app.
func (s *site) desk(box *seal.Box, p *console.Params) {
	s.t.Helper()
	publish := func(context.Context, pgx.Tx, ledger.Applied) error { return nil }
	project := func(id string) (config.Project, bool) {
		for _, pr := range p.Projects {
			if pr.ID == id {
				return pr, true
			}
		}
		return config.Project{}, false
	}
	p.Invites = issue.New(issue.Params{
		DB: s.db, Box: box, Project: project, PublicURL: publicURL, Publish: publish, Wake: func(string) {}, Log: p.Log,
		Minters: func(string, bool, string) (*mint.Minter, bool) { return nil, false },
	})
	p.Blocks = suppress.New(suppress.Params{
		DB: s.db, Box: box, Senders: func(string, bool) []string { return []string{"MG1"} },
		Unlister: func(string, bool) (provider.Unlister, bool) { return nil, false },
	})
	p.Reveal = reveal.New(reveal.Params{DB: s.db, Box: box, PublicURL: publicURL, Publish: publish})
	p.Erasing = erase.New(erase.Params{DB: s.db, Box: box, Publish: publish, Log: p.Log})
	messages := must[*message.Renderer](s.t)(message.NewRenderer(templates.FS))
	p.Messages = func(string) *message.Renderer { return messages }
	p.Watch = watch.New(watch.Params{Log: p.Log, Versions: func(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error) {
		return find.Versions(ctx, s.db, ids)
	}})
	p.Streams, p.PublicURL = web.NewStreams(web.StreamParams{}), publicURL
}
