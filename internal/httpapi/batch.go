package httpapi

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/httpapi/strictjson"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// batchRequest is the body of POST /v1/invites/batch.
type batchRequest struct {
	Invites []strictjson.Item `json:"invites"`
}

// batchItem is one item of it.
type batchItem struct {
	issue.CreateRequest
	IdempotencyKey *string `json:"idempotency_key"`
}

// batchShape is the answer: a result for each item, in their order.
type batchShape struct {
	Object  string             `json:"object"`
	Results []batchResultShape `json:"results"`
}

type batchResultShape struct {
	Index     int             `json:"index"`
	Status    int             `json:"status"`
	Replayed  bool            `json:"idempotency_replayed,omitempty"`
	Invite    *madeShape      `json:"invite,omitempty"`
	Connected *connectedShape `json:"connected_account,omitempty"`
	Problem   *web.Problem    `json:"problem,omitempty"`
}

func (a *api) createBatch(c echo.Context) error {
	var req batchRequest
	raw, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	if err := checkBatch(req, faults); err != nil {
		return err
	}
	m, err := requestMeta(c, raw, "POST /v1/invites/batch")
	if err != nil {
		return err
	}
	p := keyPrincipal(c)
	items := make([]issue.BatchItem, len(req.Invites))
	for i, item := range req.Invites {
		if items[i], err = a.readBatchItem(p, i, item, m); err != nil {
			return err
		}
	}
	results, err := a.Invites.CreateBatch(c.Request().Context(), p, items)
	if err != nil {
		return err
	}
	out := batchShape{Object: "batch", Results: make([]batchResultShape, len(results))}
	limited := 0
	for i, r := range results {
		out.Results[i] = a.shapeResult(c, i, r)
		if isLimited(r.Err) {
			limited++
		}
	}
	a.brake.slow(c.Request().Context(), p.ID, limited)
	return writeJSON(c, http.StatusOK, out)
}

func checkBatch(req batchRequest, faults []invite.Fault) error {
	switch n := len(req.Invites); {
	case n > issue.MaxBatch:
		return invite.Errorf(invite.CodeBatchTooLarge, "A batch has at most %d invites, these are %d.", issue.MaxBatch, n)
	case n == 0 && len(faults) == 0:
		faults = []invite.Fault{{Pointer: "/invites", Code: invite.FaultRequired, Detail: "1 to " + strconv.Itoa(issue.MaxBatch) + " invites are required"}}
	}
	return faultsError(faults)
}

// readBatchItem reads one item. Its faults are its own: the other items are stored.
//
// An item's key is one of POST /v1/invites, so an item can be repeated alone. The
// header's key gives the items without one a key each, by their place.
func (a *api) readBatchItem(p access.Principal, index int, item strictjson.Item, of issue.Meta) (issue.BatchItem, error) {
	var body batchItem
	faults, err := item.Decode(&body)
	if err != nil {
		return issue.BatchItem{}, err
	}
	out := issue.BatchItem{Request: body.CreateRequest, Meta: issue.Meta{RequestID: of.RequestID, Route: of.Route}}
	switch key := body.IdempotencyKey; {
	case key != nil && !isVisibleASCII(*key):
		faults = append(faults, invite.Fault{
			Pointer: "/idempotency_key", Code: invite.FaultInvalid, Detail: "must be 1 to " + strconv.Itoa(maxIdempotencyKey) + " visible ASCII characters and no space",
		})
	case key != nil:
		out.Meta.IdempotencyKey, out.Meta.Route = *key, "POST /v1/invites"
	case of.IdempotencyKey != "":
		out.Meta.IdempotencyKey = of.IdempotencyKey + "\x00" + strconv.Itoa(index)
	}
	if len(faults) > 0 {
		out.Err = faultsError(a.complete(p, body.CreateRequest, faults))
	}
	return out, nil
}

func (a *api) shapeResult(c echo.Context, index int, r issue.BatchResult) batchResultShape {
	if r.Err != nil {
		p := web.ProblemOf(c, a.PublicURL, r.Err)
		return batchResultShape{Index: index, Status: p.Status, Problem: &p}
	}
	if r.Answer.Connected != nil {
		c := shapeConnected(*r.Answer.Connected)
		return batchResultShape{Index: index, Status: http.StatusOK, Connected: &c}
	}
	return batchResultShape{
		Index: index, Status: statusOf(r.Answer.Outcome), Replayed: r.Answer.Replayed,
		Invite: &madeShape{r.Answer.Invite, r.Answer.Warnings},
	}
}
