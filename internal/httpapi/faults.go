package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
)

// VendorFaults makes the vendors of test mode fail for one project; *sandbox.Sandbox
// does. An account of the sandbox is a project.
type VendorFaults interface {
	SetAccountFault(ctx context.Context, account, vendor, kind string, lasting time.Duration) (sandbox.AccountFault, error)
	ClearAccountFault(ctx context.Context, account, vendor string) error
	ListAccountFaults(ctx context.Context, account string) ([]sandbox.AccountFault, error)
}

// How long a fault lasts, in seconds. It ends without a call, so that a test that dies
// leaves no project broken.
const (
	defaultFaultS = 300
	maxFaultS     = 3600
)

// faultShape is the JSON shape of a fault.
type faultShape struct {
	Object string    `json:"object"`
	Vendor string    `json:"vendor"`
	Kind   string    `json:"kind"`
	EndsAt time.Time `json:"ends_at"`
}

func shapeFault(f sandbox.AccountFault) faultShape {
	return faultShape{Object: "test_fault", Vendor: f.Vendor, Kind: f.Kind, EndsAt: f.EndsAt.UTC()}
}

// setFaultRequest is the body of POST /v1/test_helpers/faults.
type setFaultRequest struct {
	Vendor   string `json:"vendor"`
	Kind     string `json:"kind"`
	Duration *int   `json:"duration"`
}

// check returns every fault of the request.
func (r setFaultRequest) check() []invite.Fault {
	var faults []invite.Fault
	oneOf := func(pointer, value string, allowed []string) {
		if !slices.Contains(allowed, value) {
			faults = append(faults, invite.Fault{Pointer: pointer, Code: invite.FaultInvalid, Detail: "must be one of " + strings.Join(allowed, ", ")})
		}
	}
	oneOf("/vendor", r.Vendor, sandbox.FaultVendors())
	oneOf("/kind", r.Kind, sandbox.FaultKinds())
	if r.Duration != nil && (*r.Duration < 1 || *r.Duration > maxFaultS) {
		faults = append(faults, invite.Fault{Pointer: "/duration", Code: invite.FaultInvalid, Detail: fmt.Sprintf("must be 1 to %d seconds", maxFaultS)})
	}
	return faults
}

// vendorFaults are the sandbox's; an error for callers where there is none.
func (a *api) vendorFaults() (VendorFaults, error) {
	if a.Faults == nil {
		return nil, invite.Errorf(invite.CodeUnavailable, "This service runs without a sandbox, so no vendor of test mode can fail.")
	}
	return a.Faults, nil
}

func (a *api) listFaults(c echo.Context) error {
	f, err := a.vendorFaults()
	if err != nil {
		return err
	}
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	found, err := f.ListAccountFaults(c.Request().Context(), keyPrincipal(c).Project)
	if err != nil {
		return err
	}
	shapes := make([]faultShape, len(found))
	for i, one := range found {
		shapes[i] = shapeFault(one)
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, ""))
}

func (a *api) setFault(c echo.Context) error {
	f, err := a.vendorFaults()
	if err != nil {
		return err
	}
	var req setFaultRequest
	_, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	if len(faults) == 0 {
		faults = req.check()
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	seconds := defaultFaultS
	if req.Duration != nil {
		seconds = *req.Duration
	}
	set, err := f.SetAccountFault(c.Request().Context(), keyPrincipal(c).Project, req.Vendor, req.Kind, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeFault(set))
}

// clearFault heals a vendor. A vendor without a fault stays as it is, so that a test
// can clean up without looking.
func (a *api) clearFault(c echo.Context) error {
	f, err := a.vendorFaults()
	if err != nil {
		return err
	}
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	vendor := c.Param("vendor")
	if !slices.Contains(sandbox.FaultVendors(), vendor) {
		return invite.Errorf(invite.CodeNotFound, "There is no such vendor; there are %s.", strings.Join(sandbox.FaultVendors(), ", "))
	}
	if err := f.ClearAccountFault(c.Request().Context(), keyPrincipal(c).Project, vendor); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
