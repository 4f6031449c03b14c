package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"github.com/labstack/echo/v4"
)

// stackSize bounds what one panic writes into the log.
const stackSize = 8 << 10

// recoverPanics turns a panic into an error. The panic's value is told by type
// unless it is an error: a string may hold anything a handler had in hand.
func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			cause, isError := v.(error)
			if !isError {
				cause = fmt.Errorf("value of type %T", v)
			}
			if errors.Is(cause, http.ErrAbortHandler) {
				panic(v) // net/http's own way of hanging up
			}
			buf := make([]byte, stackSize)
			stateOf(c.Request().Context()).stack = string(buf[:runtime.Stack(buf, false)])
			err = fmt.Errorf("panic: %w", cause)
		}()
		return next(c)
	}
}
