package app

import "github.com/labstack/echo/v4"

// Routes are all that the process serves.
func (a *App) Routes() []*echo.Route { return a.handler.Routes() }
