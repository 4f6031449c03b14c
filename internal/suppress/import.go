package suppress

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// MaxImport is the most addresses of one import: they are added in one transaction.
const MaxImport = 1000

// LineFault is a line of an import that is no address.
type LineFault struct {
	Line int // from 1
	Text string
}

// Imported is the result of an import.
type Imported struct {
	Added  int
	Before int // suppressed already
	// Faults are all lines that are no address; with any of them nothing is added.
	Faults []LineFault
	// Lines is how many addresses were given, if they are more than MaxImport; nothing is added.
	Lines int
}

// line is an address of an import.
type line struct {
	channel invite.Channel
	address string
}

// Import blocks many addresses by hand, all or none, for one reason. texts are the lines of a
// list, an address each; empty ones are skipped. One entry of the audit log names the number.
// Errors: invalid_request for the reason.
func (s *Service) Import(ctx context.Context, p access.Principal, texts []string, reason string) (Imported, error) {
	var out Imported
	note, err := readNote(reason, "say why the addresses are blocked")
	if err != nil {
		return out, err
	}
	var lines []line
	for i, text := range texts {
		if text == "" {
			continue
		}
		ch, address, ok := parseAddress(text, p)
		if !ok {
			out.Faults = append(out.Faults, LineFault{i + 1, text})
			continue
		}
		lines = append(lines, line{ch, address})
	}
	if len(lines) > MaxImport {
		out.Lines = len(lines)
	}
	if len(out.Faults) > 0 || out.Lines > 0 || len(lines) == 0 {
		return out, nil
	}
	// In one order, so that two imports of the same addresses do not wait for each other.
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(strings.ToLower(a.address), strings.ToLower(b.address)))
	})
	lines = slices.CompactFunc(lines, func(a, b line) bool { return strings.EqualFold(a.address, b.address) })
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		out.Added, out.Before = 0, 0
		for _, l := range lines {
			_, fresh, err := suppression.Insert(ctx, tx, s.p.Box, s.scope(p.Place), suppression.New{
				Channel: l.channel, Kind: invite.ByHand, Address: secret.New(l.address), Note: secret.New(note), Source: suppression.FromAPI, By: p.ID,
			})
			switch {
			case err != nil:
				return err
			case fresh:
				out.Added++
			default:
				out.Before++
			}
		}
		if out.Added == 0 {
			return nil
		}
		return account.InsertActs(ctx, tx, account.Entry{By: p, Act: access.ActBlockMany, Target: "import", Data: map[string]string{"added": strconv.Itoa(out.Added)}})
	})
	return out, err
}
