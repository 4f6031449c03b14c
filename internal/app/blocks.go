package app

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/suppress"
)

// follow hands on what follows from events, in the transaction that records
// them: the product is told, and addresses are blocked.
func (a *App) follow(ctx context.Context, tx pgx.Tx, applied ledger.Applied) error {
	if err := a.outbox.Enqueue(ctx, tx, applied); err != nil {
		return err
	}
	a.tell(tx, applied)
	return a.suppress.Note(ctx, tx, applied)
}

// textSender is what a project's texts come from; opt-outs are said to it.
func (a *App) textSender(project string, livemode bool) string {
	if v, ok := a.vendors[lane{project, livemode}]; ok && v.text != nil {
		return v.text.From()
	}
	return ""
}

func (a *App) lifter(project string, livemode bool) (suppress.Lifter, bool) {
	v, ok := a.vendors[lane{project, livemode}]
	if !ok || v.mail == nil {
		return nil, false
	}
	return v.mail, true
}

func (a *App) blockKeys(project string, livemode bool, ch invite.Channel, address string) []seal.Hash {
	return suppression.Keys(a.box, suppression.Scope{ProjectID: project, Livemode: livemode, Sender: a.textSender(project, livemode)}, ch, address)
}

// scripted reports whether an address of test mode has a scripted fate.
func scripted(address string) bool {
	if phone, err := contact.ParsePhoneTest(address, ""); err == nil {
		return phone.Type == contact.TypeScripted
	}
	return strings.HasSuffix(strings.ToLower(address), "@connectlink.test")
}
