package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Pauses between two reads of WaitForInvite: they grow from the first to the last.
const (
	firstPoll = time.Second
	lastPoll  = 10 * time.Second
)

// IsFinal reports whether an invite with this status stays as it is, unless it
// is sent again.
func (s InviteStatus) IsFinal() bool {
	switch s {
	case InviteStatusConnected, InviteStatusExpired, InviteStatusRevoked, InviteStatusFailed:
		return true
	}
	return false
}

// WaitForInvite reads an invite until its status is final or ctx ends, and returns
// it as it was read last. Products that wait longer than minutes use webhooks.
func (c *Client) WaitForInvite(ctx context.Context, id InviteID) (Invite, error) {
	var last Invite
	for pause := firstPoll; ; pause = min(pause*3/2, lastPoll) {
		read, err := c.GetInvite(ctx, id)
		if err != nil {
			return last, err
		}
		last = read
		if last.Status.IsFinal() {
			return last, nil
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return last, fmt.Errorf("connectlink: invite %s is %s: %w", id, last.Status, ctx.Err())
		}
	}
}
