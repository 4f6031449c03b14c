package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"time"
)

// The size of a batch. The service accepts 100 items and 2 MB.
const (
	maxBatchRows  = 100
	maxBatchBytes = 1 << 20
)

// sendAttempts is how often a request without success is made again. Each row has an
// idempotency key, so that repeating is safe.
const sendAttempts = 8

// maxImportPause bounds the pause that the service may ask for before another attempt.
const maxImportPause = 5 * time.Minute

// rowResult is the service's answer about a row.
type rowResult struct {
	Line     int    `json:"line"`
	Status   int    `json:"status"`
	InviteID string `json:"invite_id,omitempty"`
	Replayed bool   `json:"replayed,omitempty"`
	Code     string `json:"code,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// batchResults is what the command reads of the answer to a batch.
type batchResults struct {
	Results []struct {
		Index    int  `json:"index"`
		Status   int  `json:"status"`
		Replayed bool `json:"idempotency_replayed"`
		Invite   struct {
			ID string `json:"id"`
		} `json:"invite"`
		Problem *struct {
			problem
			RetryAt time.Time `json:"retry_at"`
		} `json:"problem"`
	} `json:"results"`
}

// sendRows sends rows in batches and adds their results to the report. It ends at the
// first batch that the service does not process.
func (c *invitesImportCommand) sendRows(e *env, rows []importRow, report *importReport) error {
	results, err := c.openResults()
	if err != nil {
		return err
	}
	report.Sent = true
	bar := newProgress(e, "Sent", len(rows))
	var left budget
	for len(rows) > 0 && err == nil {
		n := countBatch(rows)
		if n, err = fitBudget(e, left, n); err != nil {
			break
		}
		var done []rowResult
		done, left, err = c.sendBatch(e, rows[:n])
		for _, r := range done {
			report.count(r)
			if results != nil {
				err = errors.Join(err, json.NewEncoder(results).Encode(r))
			}
		}
		bar.add(len(done))
		rows = rows[n:]
	}
	bar.clear()
	if results != nil {
		err = errors.Join(err, results.Close())
	}
	return err
}

// fitBudget returns how many of n rows fit into what the service takes now. Without a
// budget left it waits for the next.
func fitBudget(e *env, left budget, n int) (int, error) {
	switch {
	case !left.known || left.left >= n:
		return n, nil
	case left.left > 0:
		return left.left, nil
	case left.reset > maxImportPause:
		return 0, fmt.Errorf("the service takes no more invites for %s", left.reset)
	case left.reset > 0:
		e.say("The service takes more in %d s.", int(left.reset/time.Second))
		return n, pauseFor(e, left.reset)
	}
	return n, nil
}

// openResults creates the file of --results; nil without the flag.
func (c *invitesImportCommand) openResults() (*os.File, error) {
	if c.Results == "" {
		return nil, nil //nolint:nilnil // the flag is optional
	}
	f, err := os.OpenFile(c.Results, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, usageError("--results: %v", err)
	}
	return f, nil
}

func (r *importReport) count(got rowResult) {
	switch {
	case got.Status > 299:
		r.Failed = append(r.Failed, got)
	case got.Replayed:
		r.Replayed++
	case got.Status == http.StatusOK:
		r.Existing++
	default:
		r.Created++
	}
}

// countBatch returns the number of rows that fit into one batch; at least one.
func countBatch(rows []importRow) int {
	size := 0
	for i, row := range rows {
		size += len(encodeKey(row.body))
		if i == maxBatchRows || i > 0 && size > maxBatchBytes {
			return i
		}
	}
	return len(rows)
}

// sendBatch sends rows until each has a result that is final. Rows with a problem that
// is retryable are sent again. It also returns what the service takes next.
func (c *invitesImportCommand) sendBatch(e *env, rows []importRow) ([]rowResult, budget, error) {
	var done []rowResult
	for attempt := 1; ; attempt++ {
		got, left, err := c.postBatch(e, rows)
		if err != nil {
			return done, left, err
		}
		var again []importRow
		pause := time.Second << min(attempt-1, 5)
		for i, r := range got.Results {
			out := rowResult{Line: rows[i].line, Status: r.Status, InviteID: r.Invite.ID, Replayed: r.Replayed}
			if p := r.Problem; p != nil {
				out.Code, out.Detail = p.Code, describeProblem(p.problem)
				wait := time.Until(p.RetryAt)
				if p.Retryable && attempt < sendAttempts && wait <= maxImportPause {
					again, pause = append(again, rows[i]), max(pause, wait)
					continue
				}
			}
			done = append(done, out)
		}
		if len(again) == 0 {
			return done, left, nil
		}
		e.say("%d rows are to be sent again; trying again in %d s.", len(again), int(pause/time.Second))
		if err := pauseFor(e, pause); err != nil {
			return done, left, err
		}
		rows = again
	}
}

// describeProblem returns a problem's faults, or its detail.
func describeProblem(p problem) string {
	text := p.Detail
	for _, f := range p.Errors {
		text += " " + f.Pointer + ": " + f.Detail
	}
	return text
}

func (c *invitesImportCommand) postBatch(e *env, rows []importRow) (batchResults, budget, error) {
	items := make([]fields, len(rows))
	for i, row := range rows {
		items[i] = maps.Clone(row.body)
		items[i]["idempotency_key"] = row.itemKey(c.importID())
	}
	got, err := c.askPatiently(e, "/v1/invites/batch", fields{"invites": items}, sendAttempts)
	if err != nil {
		return batchResults{}, budget{}, err
	}
	if got.status > 299 {
		return batchResults{}, got.budget, problemError(c.base(e), got.status, got.body)
	}
	var out batchResults
	if err := json.Unmarshal(got.body, &out); err != nil || len(out.Results) != len(rows) {
		return batchResults{}, got.budget, fmt.Errorf("what answers at %s is not this service: it sent no result for each row", c.base(e))
	}
	return out, got.budget, nil
}

// askPatiently posts to the API until it has an answer that is not retryable. A request
// that was not answered at all is made up to unanswered times. The answer may be a
// problem, also a retryable one with a pause of more than maxImportPause.
func (c *invitesImportCommand) askPatiently(e *env, path string, body any, unanswered int) (answer, error) {
	key, err := c.key(e)
	if err != nil {
		return answer{}, err
	}
	for attempt := 1; ; attempt++ {
		got, err := askService(e, http.MethodPost, c.base(e)+path, key, body, "")
		if e.ctx.Err() != nil {
			return answer{}, e.ctx.Err()
		}
		var refused *exitError
		pause := time.Second << min(attempt-1, 5)
		switch {
		case errors.As(err, &refused), err != nil && attempt >= unanswered:
			return answer{}, err
		case err != nil:
			e.say("connectlink: %v; trying again in %d s", err, int(pause/time.Second))
		case got.status <= 299:
			return got, nil
		default:
			p := readProblem(got.body)
			if !isPassing(got, p) || attempt >= sendAttempts || got.pause > maxImportPause {
				return got, nil
			}
			pause = max(pause, got.pause)
			e.say("The service answers %d %s; trying again in %d s.", got.status, p.Code, int(pause/time.Second))
		}
		if err := pauseFor(e, pause); err != nil {
			return answer{}, err
		}
	}
}

// isPassing reports whether the same request may succeed later. A proxy in front of a
// service that restarts answers without a problem of ours.
func isPassing(got answer, p problem) bool {
	return p.Retryable || p.Code == "" && got.status >= http.StatusBadGateway
}
