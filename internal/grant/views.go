package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
)

const (
	// MaxViews is how many views a person saves in a project and mode, and how many the team
	// has there.
	MaxViews = 20
	// MaxViewName is the longest name of a view, in characters.
	MaxViewName = 40
)

var (
	// ErrViewName is returned for a name that is empty or too long.
	ErrViewName = errors.New("a view has a name of 1 to 40 characters")
	// ErrManyViews is returned where there are MaxViews.
	ErrManyViews = errors.New("there are as many saved views as there can be")
	// ErrNoView is returned for a view that does not exist, or of another person.
	ErrNoView = errors.New("there is no such saved view")
	// ErrViewForbidden is returned to a role that may not change the views of the team.
	ErrViewForbidden = errors.New("the role may not change the views of the team")
)

// View is a saved view of the list of invites.
type View struct {
	ID    invite.ViewID
	Name  string
	Query string // of the list's address; who opens it reads it as any other address
	Team  bool
}

// viewContent is the sealed part of a view: both can name a person.
type viewContent struct {
	Name  string `json:"name"`
	Query string `json:"query"`
}

func viewPlace(id invite.ViewID) seal.AD {
	return seal.AD{Column: "saved_views.content", ID: id.UUID()}
}

// Views returns the views of the team and of the principal, in this order.
func (s *Staff) Views(ctx context.Context, by access.Principal) ([]View, error) {
	me, err := invite.Parse[invite.StaffID](by.ID)
	if err != nil {
		return nil, fmt.Errorf("list saved views: %w", err)
	}
	rows, err := account.ListViews(ctx, s.db, by.Place, me, MaxViews)
	if err != nil {
		return nil, err
	}
	var out []View
	for _, r := range rows {
		c, err := s.openView(r)
		if err != nil {
			continue // sealed with a key that is gone: it can be saved again
		}
		out = append(out, View{r.ID, c.Name, c.Query, r.Team})
	}
	return out, nil
}

// SaveView saves a view, for the principal or for the team. Errors: ErrViewName,
// ErrManyViews, ErrViewForbidden.
func (s *Staff) SaveView(ctx context.Context, by access.Principal, name, query string, team bool) error {
	me, err := invite.Parse[invite.StaffID](by.ID)
	if err != nil {
		return fmt.Errorf("save a view: %w", err)
	}
	if team && !by.May(access.ActTeamView) {
		return ErrViewForbidden
	}
	row := account.View{Place: by.Place, ID: invite.New[invite.ViewID](), StaffID: me, Team: team}
	if row.Content, err = s.sealView(row.ID, name, query); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		ok, err := account.InsertView(ctx, tx, row, MaxViews)
		if err != nil {
			return err
		}
		if !ok {
			return ErrManyViews
		}
		return auditView(ctx, tx, by, row, "saved")
	})
}

// RenameView gives a view another name. Errors: ErrViewName, ErrNoView, ErrViewForbidden.
func (s *Staff) RenameView(ctx context.Context, by access.Principal, id invite.ViewID, name string) error {
	return s.changeView(ctx, by, id, "renamed", func(tx pgx.Tx, row account.View) error {
		c, err := s.openView(row)
		if err != nil {
			return ErrNoView
		}
		if row.Content, err = s.sealView(id, name, c.Query); err != nil {
			return err
		}
		return account.SetView(ctx, tx, row)
	})
}

// DeleteView deletes a view. Errors: ErrNoView, ErrViewForbidden.
func (s *Staff) DeleteView(ctx context.Context, by access.Principal, id invite.ViewID) error {
	return s.changeView(ctx, by, id, "deleted", func(tx pgx.Tx, row account.View) error { return account.DeleteView(ctx, tx, row) })
}

func (s *Staff) changeView(ctx context.Context, by access.Principal, id invite.ViewID, did string, change func(pgx.Tx, account.View) error) error {
	me, err := invite.Parse[invite.StaffID](by.ID)
	if err != nil {
		return fmt.Errorf("change saved view %s: %w", id, err)
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		row, found, err := account.LockView(ctx, tx, by.Place, me, id)
		switch {
		case err != nil:
			return err
		case !found:
			return ErrNoView
		case row.Team && !by.May(access.ActTeamView):
			return ErrViewForbidden
		}
		if err := change(tx, row); err != nil {
			return err
		}
		return auditView(ctx, tx, by, row, did)
	})
}

// auditView records a change of a view of the team; others are their person's.
func auditView(ctx context.Context, tx pgx.Tx, by access.Principal, row account.View, did string) error {
	if !row.Team {
		return nil
	}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: access.ActTeamView, Target: row.ID.String(), Data: map[string]string{"view": did}})
}

func (s *Staff) openView(row account.View) (c viewContent, err error) {
	plain, err := s.box.Open(row.Content, viewPlace(row.ID))
	if err == nil {
		err = json.Unmarshal(plain, &c)
	}
	return c, err
}

func (s *Staff) sealView(id invite.ViewID, name, query string) ([]byte, error) {
	name = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co): // spelling needs the two joiners
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))), " ")
	if n := utf8.RuneCountInString(name); n == 0 || n > MaxViewName {
		return nil, ErrViewName
	}
	plain, err := json.Marshal(viewContent{name, query})
	if err != nil {
		return nil, fmt.Errorf("encode saved view %s: %w", id, err)
	}
	return s.box.Seal(plain, viewPlace(id))
}
