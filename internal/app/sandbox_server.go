package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/web"
)

// standins are test mode's vendors on a loopback listener of their own.
type sandboxServer struct {
	sandbox  *sandbox.Sandbox
	listener net.Listener
	server   *http.Server // nil until run
}

func (a *App) openStandins(ctx context.Context) error {
	pages := a.public
	if pages == "" {
		pages = a.base
	}
	box, err := sandbox.New(ctx, sandbox.Params{
		DB: a.work, Box: a.box, Log: a.log, Now: a.opt.Now, PublicURL: pages + "/sandbox", CallbackURL: a.base, Pace: a.opt.Pace,
	})
	if err != nil {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the sandbox: %w", err)
	}
	a.standins = &sandboxServer{sandbox: box, listener: listener}
	return nil
}

// standinLogos are the logos of test mode's catalogue. This process serves them itself,
// and may not reach itself by its public address.
func (a *App) standinLogos() logo.Standin {
	if a.standins == nil || slices.Contains(a.cfg.LogoHosts, config.NoLogos) {
		return logo.Standin{}
	}
	return logo.Standin{Prefix: a.standins.sandbox.LogoPrefix(), Base: "http://" + a.standins.listener.Addr().String() + "/assets/"}
}

func (s *sandboxServer) run(ctx context.Context, g *errgroup.Group, works bool, log *slog.Logger) {
	// The vendors answer until close, because calls in progress at a stop need
	// them.
	s.server = web.Server(s.sandbox.Vendors(), log)
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }()
	g.Go(func() error {
		select {
		case err := <-served:
			return fmt.Errorf("serve the sandbox: %w", err)
		case <-ctx.Done():
			return nil
		}
	})
	if works {
		g.Go(func() error { return orderlyEnd(ctx, s.sandbox.Run(ctx)) })
	}
}

func (s *sandboxServer) close() {
	if s.server != nil {
		_ = s.server.Close()
	}
	_ = s.listener.Close()
}

// sandboxed is a project as test mode sees it: the same product, with the
// sandbox's accounts in place of its own.
func (s *sandboxServer) sandboxed(p config.Project) config.Project {
	base, cred := "http://"+s.listener.Addr().String(), s.sandbox.Credentials()
	p.Pipedream = config.Pipedream{
		APIURL: base + "/pipedream/@" + p.ID, ClientID: cred.PipedreamClientID, ClientSecret: cred.PipedreamClientSecret,
		ProjectID: cred.PipedreamProjectID, TokenScope: p.Pipedream.TokenScope,
	}
	for _, kind := range providerKinds() {
		kind.rehearse(&p, s.sandbox, base)
	}
	return p
}

// rehearse lets a scripted recipient of test mode choose how Pipedream answers:
// Pipedream's request contains no address, so the stand-in cannot know it
// otherwise.
func (a *App) rehearse(ctx context.Context, externalUserID string, r invite.Recipient) error {
	if a.standins == nil {
		return nil
	}
	script := sandbox.MintScriptFor(r.Email)
	if script == "" {
		return nil
	}
	return a.standins.sandbox.ScriptMint(ctx, externalUserID, script)
}
