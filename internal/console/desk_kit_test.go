package console_test

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/internal/unmask"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

// publicURL is where recipients reach the service.
const publicURL = "https://go.northwind.example"

// builtInTexts are read once for all tests.
//
//nolint:gochecknoglobals // the file does not change
var builtInTexts = sync.OnceValues(func() (*message.Renderer, error) { return message.NewRenderer(templates.FS) })

// desk gives the console what support staff work with. There is no Pipedream
// here: what needs a mint is tested against a whole process in package app.
func (s *site) desk(box *seal.Box, p *console.Params) {
	s.t.Helper()
	tell := func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil }
	project := func(id string) (config.Project, bool) {
		for _, pr := range p.Projects {
			if pr.ID == id {
				return pr, true
			}
		}
		return config.Project{}, false
	}
	s.project = func(id string) config.Project { pr, _ := project(id); return pr }
	noSenders := func(invite.Place) []string { return nil }
	p.Events = publish.NewLog(s.db, box)
	p.Endpoints = must[*publish.Endpoints](s.t)(publish.NewEndpoints(publish.EndpointParams{
		DB: s.db, Box: box, Project: project, AllowPrivate: true, Now: time.Now, Lookup: net.DefaultResolver.LookupNetIP,
		Courier: publish.NewCourier(publish.Params{DB: s.db, Box: box, Project: project, AllowPrivate: true, Now: time.Now}),
	}))
	p.Blocks = must[*suppress.Service](s.t)(suppress.New(suppress.Params{
		SenderOf: func(string, invite.Place) string { return "" }, Scripted: func(string) bool { return false },
		DB: s.db, Box: box, Senders: func(invite.Place) []string { return []string{"MG1"} },
		Unlister: func(invite.Place) (provider.Unlister, bool) { return nil, false },
	}))
	p.Attend = must[*attend.Service](s.t)(attend.New(attend.Params{DB: s.db, Box: box, Changed: func(id invite.ID) { p.Watch.Moved(id) }}))
	p.Unmask = must[*unmask.Service](s.t)(unmask.New(unmask.Params{DB: s.db, Box: box, PublicURL: publicURL, Senders: noSenders, Publish: tell}))
	p.Erasing = must[*erase.Service](s.t)(erase.New(erasing(s.db, box)))
	p.Export = must[*export.Service](s.t)(export.New(export.Params{DB: s.db}))
	messages := must[*message.Renderer](s.t)(builtInTexts())
	var places []invite.Place
	for _, pr := range p.Projects {
		places = append(places, invite.Place{Project: pr.ID}, invite.Place{Project: pr.ID, Live: true})
	}
	s.board = must[*reword.Board](s.t)(reword.NewBoard(s.db, places, func(string) *message.Renderer { return messages }, p.Log))
	p.Composer = must[*compose.Composer](s.t)(compose.New(compose.Params{PublicURL: publicURL, Messages: s.board.Messages}))
	p.Reword = must[*reword.Service](s.t)(reword.New(reword.Params{DB: s.db, Board: s.board, Composer: p.Composer, Project: project}))
	p.Invites = must[*issue.Service](s.t)(issue.New(issue.Params{
		Pauses:  s.pauses,
		Senders: noSenders, OneWay: func(invite.Place) bool { return false },
		Composer: p.Composer,
		DB:       s.db, Box: box, Project: project, PublicURL: publicURL, Publish: tell, Announce: publish.NewOutbox(box).Created, Wake: func(invite.Lane) {}, Uses: func(quota.Message) []ledger.Use { return nil }, Log: p.Log,
		Minters: func(invite.Place, string) (*mint.Minter, bool) { return nil, false },
	}))
	p.TestSends = must[*testsend.Service](s.t)(testsend.New(testsend.Params{
		DB: s.db, Box: box, Composer: p.Composer, Senders: s.senders, PerSecond: func(string) (float64, int) { return 0, 0 }, Log: p.Log,
		BlockKeys: func(place invite.Place, ch invite.Channel, address string) []seal.Hash {
			return suppression.Keys(box, suppression.Scope{Place: place}, ch, address)
		},
	}))
	p.Watch = watch.New(watch.Params{Log: p.Log, Versions: func(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error) {
		return find.Versions(ctx, s.db, ids)
	}})
	if p.Answers == nil {
		p.Answers = limit.New(limit.Per(1000, time.Second), 1000, time.Now)
	}
	if p.Tries == nil {
		p.Tries = limit.New(limit.Per(1000, time.Second), 1000, time.Now)
		p.Reports = limit.New(limit.Per(1000, time.Second), 1000, time.Now)
	}
	p.Streams, p.PublicURL = web.NewStreams(web.StreamParams{}), publicURL
}

// erasing are the collaborators of erasing for tests that publish and delete
// nothing.
func erasing(db *pgxpool.Pool, box *seal.Box) erase.Params {
	return erase.Params{
		DB: db, Box: box,
		Senders:  func(invite.Place) []string { return nil },
		Redactor: func(string, invite.Place) (provider.Redactor, bool) { return nil, false },
		Keep:     func(string) time.Duration { return config.DefaultRetention },
		Publish:  func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil },
		Later:    func(context.Context, pgx.Tx, []invite.ID) error { return nil },
	}
}
