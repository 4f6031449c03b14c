package issue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// block is the question whether a recipient may be written to, and its answer.
// It is asked again when the message is about to leave: see package dispatch.
type block struct {
	pointer  string
	keys     []seal.Hash
	standing []suppression.Standing
}

func (s *Service) block(p access.Principal, ch invite.Channel, r invite.Recipient) *block {
	b := &block{pointer: ch.Spec().Field.Pointer()}
	scope := suppression.Scope{Place: p.Place, Senders: s.p.Senders(p.Place)}
	b.keys = suppression.Keys(s.p.Box, scope, ch, r.Address(ch))
	return b
}

// ask adds the question to a batch.
func (b *block) ask(batch *pgx.Batch) { suppression.Ask(batch, b.keys, &b.standing) }

// askIn asks it in a transaction.
func (b *block) askIn(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	b.ask(batch)
	if batch.Len() == 0 {
		return nil
	}
	return postgres.Translate(tx.SendBatch(ctx, batch).Close())
}

// err returns why the recipient must not be written to.
func (b *block) err() error {
	if len(b.standing) == 0 {
		return nil
	}
	st := b.standing[0]
	why, _ := invite.Explain(st.Kind.Reason())
	code, message := invite.CodeRecipientSuppressed,
		fmt.Sprintf("%s Block %s (%s) stands in the way; lift it if it is wrong.", why.Title, st.ID, st.Kind)
	if !st.Kind.Liftable() {
		code, message = invite.CodeRecipientOptedOut, why.Title+" "+why.Advice
	}
	return &invite.Error{Code: code, Message: message, Faults: []invite.Fault{{Pointer: b.pointer, Code: code, Detail: message}}}
}
