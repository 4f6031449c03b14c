package track

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Sources of knowledge, as events name them.
const (
	fromWebhook  = "webhook"
	fromPoll     = "poll"
	fromPage     = "page"
	fromCallback = "callback"
	inferred     = "inferred" // a callback that names only an address
)

const pipedreamName = "pipedream"

// accountID is the form of an account's id; anything else is not asked for.
var accountID = regexp.MustCompile(`^apn_[0-9A-Za-z]{1,100}$`)

// Pipedream takes a connection webhook. hook is the secret part of its path. A
// nil error means that the webhook is stored, or was before. Errors: ErrUnknown,
// ErrMalformed, and those of the database.
func (t *Tracker) Pipedream(ctx context.Context, hook secret.Text, raw []byte) error {
	if !access.ValidCallbackSecret(hook.Reveal()) {
		return ErrUnknown
	}
	owner, ok, err := ledger.FindByWebhook(ctx, t.p.DB, secret.Digest(hook))
	if err != nil {
		return err
	}
	if !ok {
		return ErrUnknown
	}
	w, err := pipedream.ParseWebhook(raw)
	if err != nil {
		return ErrMalformed
	}
	if subtle.ConstantTimeCompare(secret.Digest(w.ConnectToken), owner.TokenDigest) != 1 {
		return ErrUnknown
	}
	check := Check{InviteID: owner.InviteID}
	if accountID.MatchString(w.AccountID) {
		check.AccountID = w.AccountID // else the person's accounts are listed
	}
	fresh := false
	err = t.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		if fresh, err = ledger.Guard(ctx, tx, pipedreamName, webhookKey(w)); err != nil || !fresh {
			return err
		}
		if err := t.keep(ctx, tx, pipedreamName, owner.InviteID, withoutToken(raw, w.ConnectToken)); err != nil {
			return err
		}
		if err := ledger.SetSpent(ctx, tx, owner.InviteID, owner.LinkID); err != nil {
			return err
		}
		switch w.Event {
		case pipedream.EventSuccess:
			return t.p.Later(ctx, tx, check)
		case pipedream.EventError:
			return t.connectFailed(ctx, tx, owner, w)
		}
		return nil // a name that is not known yet: kept and acknowledged
	})
	if err != nil {
		return fmt.Errorf("take webhook of invite %s: %w", owner.InviteID, err)
	}
	if fresh && w.Event == pipedream.EventSuccess {
		// Tried at once, because a person waits for it; a failure here is retried
		// by the job that was committed with the webhook.
		ctx, cancel := context.WithTimeout(ctx, t.p.InlineConfirm)
		defer cancel()
		if err := t.Settle(ctx, check); err != nil {
			t.p.Log.InfoContext(ctx, "connection not confirmed yet", "invite_id", check.InviteID.String(), "err", err)
		}
	}
	return nil
}

func (t *Tracker) connectFailed(ctx context.Context, tx pgx.Tx, owner ledger.TokenOwner, w pipedream.Webhook) error {
	applied, err := ledger.Append(ctx, tx, t.p.Box, owner.InviteID, invite.Event{
		Type:   invite.EventConnectFailed,
		Actor:  invite.Actor{Kind: invite.ActorProvider, ID: pipedreamName},
		LinkID: owner.LinkID,
		Data:   invite.Data{Source: fromWebhook, Outcome: string(FailureOf(w.Error.Reveal()))},
		Detail: w.Error,
	})
	if err != nil {
		return err
	}
	return t.p.Publish(ctx, tx, applied)
}

// webhookKey tells copies of a webhook from other webhooks; there is neither
// an event id nor a time in it. The error's words are part of it, because a
// person may fail twice on one link.
func webhookKey(w pipedream.Webhook) []byte {
	h := sha256.New()
	for _, s := range []string{w.ConnectToken.Reveal(), w.Event, w.AccountID, w.Error.Reveal()} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return h.Sum(nil)
}

// withoutToken is a webhook's body with the connect token taken out, wherever
// it stands. A body that is not read again keeps its other bytes.
func withoutToken(raw []byte, token secret.Text) []byte {
	var top map[string]json.RawMessage
	if json.Unmarshal(raw, &top) == nil {
		delete(top, "connect_token")
		if b, err := json.Marshal(top); err == nil {
			raw = b
		}
	}
	if token.IsZero() {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte(token.Reveal()), []byte("removed"))
}
