// Package attend owns the agreements of staff about an invite: its owner, and the notes
// they leave for each other.
//
// It must not change the invite itself: nothing here is an event, and nothing reaches the
// product or the recipient. Notes stand in no log, error or audit entry, and searches do
// not look into them.
package attend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/desk"
)

const (
	// MaxNote is the longest note, in characters.
	MaxNote = 2000
	// MaxNotes is how many notes an invite has at most.
	MaxNotes = 100
)

var (
	// ErrForbidden is returned to a role that may not do what it asked for.
	ErrForbidden = errors.New("the role may not do this")
	// ErrNoNote is returned for a note that is not there, or no longer.
	ErrNoNote = errors.New("there is no such note")
	// ErrErased is returned where a note is written on an invite whose data was erased.
	ErrErased = errors.New("the invite's personal data was erased")
	// ErrManyNotes is returned where an invite has MaxNotes notes.
	ErrManyNotes = errors.New("the invite has as many notes as it can have")
)

// TakenError reports that an invite has another owner.
type TakenError struct{ Owner invite.StaffID }

// Error names the owner by their id.
func (e *TakenError) Error() string { return "staff " + e.Owner.String() + " is on it" }

// Params are what a Service needs.
type Params struct {
	DB interface {
		postgres.DB
		postgres.Beginner
	}
	Box *seal.Box
	// Changed is called after the owner or the notes of an invite changed, so that open pages
	// show it.
	Changed func(id invite.ID)
}

// Service keeps owners and notes. It is safe for concurrent use.
type Service struct{ p Params }

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("attend.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Changed": p.Changed}); err != nil {
		return nil, err
	}
	return &Service{p: p}, nil
}

// Take makes the principal the owner of an invite. seen is the owner that their page
// showed, zero for none: an owner since then stays, and so does a colleague whom the
// role may not replace. Errors: *TakenError, ErrForbidden; invite_not_found, as
// *invite.Error.
func (s *Service) Take(ctx context.Context, by access.Principal, id invite.ID, seen invite.StaffID) error {
	return s.change(ctx, by, id, access.ActTake, func(tx pgx.Tx, me, owner invite.StaffID) (access.Act, error) {
		act := access.ActTake
		switch {
		case owner == me:
			return "", nil
		case !owner.IsZero() && (owner != seen || !by.May(access.ActTakeOver)):
			return "", &TakenError{owner}
		case !owner.IsZero():
			act = access.ActTakeOver
		}
		return act, desk.SetOwner(ctx, tx, by.Place, id, me)
	})
}

// LetGo takes the principal off an invite, or, if the role may take over, the owner that
// their page showed. Errors: as Take.
func (s *Service) LetGo(ctx context.Context, by access.Principal, id invite.ID, seen invite.StaffID) error {
	return s.change(ctx, by, id, access.ActLetGo, func(tx pgx.Tx, me, owner invite.StaffID) (access.Act, error) {
		switch {
		case owner.IsZero():
			return "", nil
		case owner != me && (owner != seen || !by.May(access.ActTakeOver)):
			return "", &TakenError{owner}
		}
		return access.ActLetGo, desk.DeleteOwner(ctx, tx, id)
	})
}

// change changes the owner under a lock, and records the act and the owner before it.
func (s *Service) change(ctx context.Context, by access.Principal, id invite.ID, act access.Act, do func(tx pgx.Tx, me, owner invite.StaffID) (access.Act, error)) error {
	me, err := staffID(by, act)
	if err != nil {
		return err
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		d, err := lock(ctx, tx, by, id)
		if err != nil {
			return err
		}
		done, err := do(tx, me, d.Owner)
		if err != nil || done == "" {
			return err
		}
		entry := account.Entry{By: by, Act: done, Target: id.String(), Invite: id}
		if !d.Owner.IsZero() && d.Owner != me {
			entry.Data = map[string]string{"from": d.Owner.String()}
		}
		return s.record(ctx, tx, entry)
	})
}

// Write adds a note to an invite. Errors: ErrForbidden, ErrErased, ErrManyNotes;
// invalid_request for a text that is empty or too long, invite_not_found, as
// *invite.Error.
func (s *Service) Write(ctx context.Context, by access.Principal, id invite.ID, text string) error {
	me, err := staffID(by, access.ActNote)
	if err != nil {
		return err
	}
	text = cleanNote(text)
	if n := utf8.RuneCountInString(text); n == 0 || n > MaxNote {
		f := invite.Fault{Pointer: "/text", Code: invite.FaultRequired, Detail: "write the note"}
		if n > MaxNote {
			f = invite.Fault{Pointer: "/text", Code: invite.FaultTooLong, Detail: fmt.Sprintf("at most %d characters, these are %d", MaxNote, n)}
		}
		return &invite.Error{Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.", Faults: []invite.Fault{f}}
	}
	note := desk.Note{ID: invite.New[invite.NoteID](), InviteID: id, StaffID: me}
	if note.Text, err = s.p.Box.Seal([]byte(text), place(note.ID)); err != nil {
		return fmt.Errorf("seal note %s: %w", note.ID, err)
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		d, err := lock(ctx, tx, by, id)
		switch {
		case err != nil:
			return err
		case d.Erased:
			return ErrErased
		case d.Notes >= MaxNotes:
			return ErrManyNotes
		}
		if err := desk.InsertNote(ctx, tx, note); err != nil {
			return err
		}
		return s.record(ctx, tx, account.Entry{By: by, Act: access.ActNote, Target: note.ID.String(), Invite: id})
	})
}

// Delete deletes a note: one's own, or, if the role may take over, a colleague's. Errors:
// ErrForbidden, ErrNoNote; invite_not_found, as *invite.Error.
func (s *Service) Delete(ctx context.Context, by access.Principal, id invite.ID, note invite.NoteID) error {
	me, err := staffID(by, access.ActDeleteNote)
	if err != nil {
		return err
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		if _, err := lock(ctx, tx, by, id); err != nil {
			return err
		}
		author, err := desk.LockNote(ctx, tx, id, note)
		switch {
		case errors.Is(err, desk.ErrNotFound):
			return ErrNoNote
		case err != nil:
			return err
		case author != me && !by.May(access.ActTakeOver):
			return fmt.Errorf("delete note %s: %w", note, ErrForbidden)
		}
		if err := desk.DeleteNote(ctx, tx, note); err != nil {
			return err
		}
		return s.record(ctx, tx, account.Entry{By: by, Act: access.ActDeleteNote, Target: note.String(), Invite: id})
	})
}

// record adds the entry of a change to the audit log, and tells of the change after the commit.
func (s *Service) record(ctx context.Context, tx pgx.Tx, e account.Entry) error {
	postgres.AfterCommit(tx, func() { s.p.Changed(e.Invite) })
	return account.InsertAudit(ctx, tx, e)
}

// Note is a note as staff read it.
type Note struct {
	ID        invite.NoteID
	Author    invite.StaffID
	Text      secret.Text
	WrittenAt time.Time
}

// Notes returns the notes of an invite, newest first. The caller has made sure that the
// invite is the asker's.
func (s *Service) Notes(ctx context.Context, id invite.ID) ([]Note, error) {
	list, err := desk.ListNotes(ctx, s.p.DB, id)
	if err != nil {
		return nil, err
	}
	out := make([]Note, 0, len(list))
	for _, n := range list {
		text, err := s.p.Box.Open(n.Text, place(n.ID))
		if err != nil {
			return nil, fmt.Errorf("open note %s: %w", n.ID, err)
		}
		out = append(out, Note{ID: n.ID, Author: n.StaffID, Text: secret.New(string(text)), WrittenAt: n.WrittenAt})
	}
	return out, nil
}

// Owners returns the owners of invites; those without one are absent.
func (s *Service) Owners(ctx context.Context, ids ...invite.ID) (map[invite.ID]invite.StaffID, error) {
	return desk.ListOwners(ctx, s.p.DB, ids)
}

func place(id invite.NoteID) seal.AD { return seal.AD{Column: "invite_notes.text", ID: id.UUID()} }

func lock(ctx context.Context, tx pgx.Tx, by access.Principal, id invite.ID) (desk.Desk, error) {
	d, err := desk.Lock(ctx, tx, by.Place, id)
	if errors.Is(err, desk.ErrNotFound) {
		err = invite.Errorf(invite.CodeInviteNotFound, "There is no invite %s here.", id)
	}
	return d, err
}

// staffID is the id of a member of staff whose role allows an act.
func staffID(by access.Principal, act access.Act) (invite.StaffID, error) {
	if !by.May(act) {
		return invite.StaffID{}, fmt.Errorf("%s: %w", act, ErrForbidden)
	}
	return invite.Parse[invite.StaffID](by.ID)
}

// cleanNote makes a text plain: no control characters, and none that are invisible or
// turn the direction of writing. Lines stay, empty ones at both ends go. The joiners that
// spelling needs stay too.
func cleanNote(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\u200c', r == '\u200d':
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}
