package app

import (
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/pause"
)

// openPauses opens what pauses and resumes sending, by hand and by itself.
func (a *App) openPauses() (err error) {
	if a.pauses, err = pause.NewBoard(a.work, a.log); err != nil {
		return err
	}
	if a.pause, err = pause.New(a.api, a.wake, a.pauses); err != nil {
		return err
	}
	a.firewall, err = firewall.New(firewall.Params{
		DB: a.work, Box: a.box, Project: a.cfg.Project, Alerts: a.outbox, Metrics: a.registry, Log: a.log,
	})
	return err
}
