package app

import (
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/templates"
)

// Routes are all that the process serves.
func (a *App) Routes() []*echo.Route { return a.handler.Routes() }

// builtIn are the built-in texts, read once for all tests.
//
//nolint:gochecknoglobals // what is read does not change
var builtIn = sync.OnceValues(func() (texts, error) { return readTexts(templates.FS) })

// WithSharedTexts are options by which a process reads the built-in texts with the
// others of this test run, which takes most of the time of a start.
func WithSharedTexts(o Options) Options {
	o.builtIn = builtIn
	return o
}
