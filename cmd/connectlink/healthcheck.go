package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
)

type healthcheckCommand struct {
	settings
	URL string `help:"The service's address; the configured one on this machine unless given."`
}

// Run succeeds when the service is ready. A worker serves no requests: unless
// it answers on an address for metrics, it is as ready as its database.
func (c *healthcheckCommand) Run(e *env) error {
	ctx, cancel := context.WithTimeout(e.ctx, 5*time.Second)
	defer cancel()
	base := strings.TrimSuffix(c.URL, "/")
	if base == "" {
		cfg, err := c.load(e, keysetVariable, databaseVariable)
		if err != nil {
			return err
		}
		switch base = cfg.ListenURL(); {
		case cfg.Role == config.RoleWorker && cfg.MetricsListen != "":
			base = cfg.MetricsURL()
		case cfg.Role == config.RoleWorker:
			pool, err := openPool(ctx, cfg, "connectlink healthcheck")
			if err != nil {
				return fmt.Errorf("not ready: %w", err)
			}
			pool.Close()
			return nil
		}
	}
	status, err := getStatus(ctx, base+"/readyz")
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("not ready: it answers %d", status)
	}
	return nil
}

// getStatus asks for a page and returns the answer's status. Its errors hold no URL.
func getStatus(ctx context.Context, url string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, errors.New("its address is not a URL")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, stripURL(err)
	}
	return resp.StatusCode, resp.Body.Close()
}
