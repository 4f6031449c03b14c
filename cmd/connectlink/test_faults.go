package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type testCommand struct {
	Faults testFaultsCommand `cmd:"" help:"Make vendors of test mode fail for the key's project."`
}

type testFaultsCommand struct {
	Set   testFaultsSetCommand   `cmd:"" help:"Make a vendor fail for a while."`
	List  testFaultsListCommand  `cmd:"" help:"List the faults that have not ended."`
	Clear testFaultsClearCommand `cmd:"" help:"End the fault of a vendor, or of all."`
}

const faultsPath = "/v1/test_helpers/faults"

func faultColumns() []column {
	return []column{{"VENDOR", "vendor"}, {"FAULT", "kind"}, {"ENDS", "ends_at"}}
}

type testFaultsSetCommand struct {
	remote
	format
	Vendor string        `arg:"" enum:"pipedream,email,sms" help:"pipedream, email or sms."`
	Kind   string        `arg:"" enum:"down,slow,rate_limited,lost_answer,doubled_events" help:"down, slow, rate_limited, lost_answer or doubled_events."`
	For    time.Duration `help:"How long it lasts, at most 1h." default:"5m"`
}

// Run makes a vendor fail.
func (c *testFaultsSetCommand) Run(e *env) error {
	body := fields{"vendor": c.Vendor, "kind": c.Kind, "duration": int(c.For / time.Second)}
	raw, err := c.ask(e, http.MethodPost, faultsPath, body, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, faultColumns())
}

type testFaultsListCommand struct {
	remote
	format
}

// Run lists faults.
func (c *testFaultsListCommand) Run(e *env) error {
	raw, err := c.ask(e, http.MethodGet, faultsPath, nil, "")
	if err != nil {
		return err
	}
	return c.print(e, c.base(e), raw, faultColumns())
}

type testFaultsClearCommand struct {
	remote
	Vendor string `arg:"" optional:"" help:"pipedream, email or sms; every vendor unless given."`
}

// Run ends faults.
func (c *testFaultsClearCommand) Run(e *env) error {
	vendors := []string{c.Vendor}
	if c.Vendor == "" {
		raw, err := c.ask(e, http.MethodGet, faultsPath, nil, "")
		if err != nil {
			return err
		}
		var list struct {
			Data []struct{ Vendor string } `json:"data"`
		}
		if err := decodeAnswer(c.base(e), raw, &list); err != nil {
			return err
		}
		vendors = vendors[:0]
		for _, f := range list.Data {
			vendors = append(vendors, f.Vendor)
		}
	}
	for _, vendor := range vendors {
		if _, err := c.ask(e, http.MethodDelete, faultsPath+"/"+url.PathEscape(vendor), nil, ""); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.stdout, "%d faults cleared\n", len(vendors))
	return err
}
