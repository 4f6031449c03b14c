package app

import "github.com/connectlink/connectlink/internal/pause"

// openPauses opens what pauses and resumes sending.
func (a *App) openPauses() (err error) {
	if a.pauses, err = pause.NewBoard(a.work, a.log); err != nil {
		return err
	}
	a.pause, err = pause.New(a.api, a.wake, a.pauses)
	return err
}
