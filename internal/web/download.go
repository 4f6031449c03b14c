package web

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Download is a file that is written while it is sent. All fields are required.
type Download struct {
	Name, Type string
	// Longest is how long it may take as a whole, Write how long one write: who does
	// not read is hung up on.
	Longest, Write time.Duration
}

// Serve answers with the file that write writes. Every write is sent at once, so it should be
// a large one. An error before the first write is answered as any other is; after one
// behind it the connection is broken off, so that the client does not take the part
// for the whole. ctx ends when the client leaves, which is no error.
func (d Download) Serve(c echo.Context, write func(ctx context.Context, to io.Writer) error) error {
	ctx, cancel := withLongerLimit(c, d.Longest)
	defer cancel()
	control := http.NewResponseController(c.Response().Writer)
	// Nothing more is read from the client; the context ends when it leaves.
	_ = control.SetReadDeadline(time.Time{})
	err := write(ctx, &downloadWriter{c: c, control: control, d: d})
	switch {
	case err == nil:
		return nil
	case !c.Response().Committed:
		return err
	}
	HangUp(c)
	if client := stateOf(c.Request().Context()).client; client != nil && client.Err() != nil {
		return nil
	}
	return err
}

// downloadWriter sends the headers before the first write.
type downloadWriter struct {
	c       echo.Context
	control *http.ResponseController
	d       Download
}

// Write implements io.Writer.
func (w *downloadWriter) Write(p []byte) (int, error) {
	out := w.c.Response()
	if !out.Committed {
		h := out.Header()
		h.Set(echo.HeaderContentType, w.d.Type)
		h.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": w.d.Name}))
		h.Set("X-Accel-Buffering", "no") // nginx would go on reading after the client left
		out.WriteHeader(http.StatusOK)
	}
	// Not every writer knows deadlines or flushing; the server's does.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.d.Write))
	n, err := out.Write(p)
	if err != nil {
		return n, err
	}
	return n, w.control.Flush()
}
