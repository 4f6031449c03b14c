// Package reword is the use case in which staff change the texts of messages: subject,
// lead sentence and button of an email, by language and situation, in one project and
// mode. It also keeps each process's renderers in step with the stored texts.
//
// A version is a change, and stays: to roll back is to add a version with the texts of an
// earlier one. Texts are plain; package message renders them as values, so nothing that is
// stored is markup or template syntax. It must not send anything.
package reword

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/wording"
)

var (
	// ErrNoMessage is returned for a language or situation without texts, and for a version
	// that the message does not have.
	ErrNoMessage = errors.New("there is no such message or version")
	// ErrForbidden is returned to a role that may not change messages.
	ErrForbidden = errors.New("the role may not change messages")
	// ErrChanged is returned where another change came first.
	ErrChanged = errors.New("the message was changed meanwhile")
)

// FaultsError is returned for a wording with faults; it has all of them.
type FaultsError struct{ Faults []message.WordingFault }

func (e *FaultsError) Error() string {
	return strconv.Itoa(len(e.Faults)) + " faults in the wording of a message"
}

// Params are what a Service needs.
type Params struct {
	DB       *pgxpool.Pool
	Board    *Board
	Composer *compose.Composer
	Project  func(id string) (config.Project, bool)
	// OneWay reports whether people cannot reply to a project's texts; nil: they can.
	OneWay func(invite.Place) bool
}

// Service changes the texts of messages. It is safe for concurrent use.
type Service struct{ p Params }

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("reword.Params", map[string]any{"DB": p.DB, "Board": p.Board, "Composer": p.Composer, "Project": p.Project}); err != nil {
		return nil, err
	}
	return &Service{p}, nil
}

// Languages lists the languages whose messages can be changed.
func (s *Service) Languages(by access.Principal) []string {
	return s.p.Board.own(by.Project).Languages()
}

// Message is the texts of one message.
type Message struct {
	message.Slot

	Version   int64           // of the stored texts; 0: there are none
	Changed   wording.Version // the latest change, if there is one
	Own       message.Wording // the stored texts; empty ones are the templates'
	Templates message.Wording // what the templates say
}

// Texts returns the texts that the message has.
func (m Message) Texts() message.Wording { return over(m.Own, m.Templates) }

// over puts the texts of a wording over others.
func over(w, under message.Wording) message.Wording {
	for _, part := range []struct{ text, under *string }{{&w.Subject, &under.Subject}, {&w.Lead, &under.Lead}, {&w.Button, &under.Button}} {
		if *part.text == "" {
			*part.text = *part.under
		}
	}
	return w
}

// List returns the messages of a language. Errors: ErrNoMessage, ErrForbidden.
func (s *Service) List(ctx context.Context, by access.Principal, language string) ([]Message, error) {
	current, err := s.current(ctx, by, by.Place)
	if err != nil {
		return nil, err
	}
	var out []Message
	for _, situation := range message.Situations() {
		m, err := s.message(by.Project, message.Slot{Language: language, Situation: situation}, current)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Get returns one message. Errors: ErrNoMessage, ErrForbidden.
func (s *Service) Get(ctx context.Context, by access.Principal, slot message.Slot) (Message, error) {
	current, err := s.current(ctx, by, by.Place)
	if err != nil {
		return Message{}, err
	}
	return s.message(by.Project, slot, current)
}

func (s *Service) current(ctx context.Context, by access.Principal, place invite.Place) (map[message.Slot]wording.Version, error) {
	if !by.May(access.ActMessages) {
		return nil, ErrForbidden
	}
	list, err := wording.ListCurrent(ctx, s.p.DB, place)
	if err != nil {
		return nil, err
	}
	out := map[message.Slot]wording.Version{}
	for _, v := range list {
		out[v.Slot] = v
	}
	return out, nil
}

func (s *Service) message(project string, slot message.Slot, current map[message.Slot]wording.Version) (Message, error) {
	own := s.p.Board.own(project)
	if !slices.Contains(own.Languages(), slot.Language) || !slices.Contains(message.Situations(), slot.Situation) {
		return Message{}, ErrNoMessage
	}
	templates, err := own.Wording(slot)
	if err != nil {
		return Message{}, fmt.Errorf("read the texts of the templates: %w", err)
	}
	v := current[slot]
	return Message{Slot: slot, Version: v.Number, Changed: v, Own: v.Wording, Templates: templates}, nil
}

// Versions returns versions of a message, the latest first, up to n of them, before a
// version unless that is 0. Errors: ErrForbidden.
func (s *Service) Versions(ctx context.Context, by access.Principal, slot message.Slot, before int64, n int) ([]wording.Version, error) {
	if !by.May(access.ActMessages) {
		return nil, ErrForbidden
	}
	return wording.List(ctx, s.p.DB, by.Place, slot, before, n)
}

// Preview is a message as it would be with texts that are not saved.
type Preview struct {
	message.Inspection

	SubjectLeftOut bool // it has no room for the values, and a subject of the templates is used
}

// Preview renders a message with texts that are not saved, and values as most messages
// have. Errors: ErrNoMessage, ErrForbidden, *FaultsError.
func (s *Service) Preview(ctx context.Context, by access.Principal, slot message.Slot, w message.Wording) (out Preview, err error) {
	d, err := s.Draft(ctx, by, slot, w)
	if err != nil {
		return out, err
	}
	if out.Inspection, err = s.p.Composer.InspectWith(d.Texts, d.Message); err != nil || !d.ownSubject {
		return out, err
	}
	without, err := s.p.Composer.InspectWith(s.p.Board.own(by.Project), d.Message)
	out.SubjectLeftOut = without.Email.Subject == out.Email.Subject
	return out, err
}

// Draft is a message with texts that are not saved, to be rendered.
type Draft struct {
	Texts   *message.Renderer
	Message compose.Message // with values as most messages have; its link opens nothing

	ownSubject bool // it is not that of the templates
}

// Draft checks texts that are not saved as Save does, and returns a message with them.
// Errors: ErrNoMessage, ErrForbidden, *FaultsError.
func (s *Service) Draft(ctx context.Context, by access.Principal, slot message.Slot, w message.Wording) (d Draft, err error) {
	current, err := s.current(ctx, by, by.Place)
	if err != nil {
		return d, err
	}
	m, err := s.message(by.Project, slot, current)
	if err != nil {
		return d, err
	}
	w = less(w, m.Templates)
	if d.Texts, err = s.check(by.Place, slot, w, current); err != nil {
		return d, err
	}
	project, _ := s.p.Project(by.Project)
	d.Message, d.ownSubject = s.example(project, by.Live, slot, compose.UsualTrial()), w.Subject != ""
	d.Message.Content.Note = ""
	return d, nil
}

// check returns the renderer of a project and mode with a wording in a slot, or the
// wording's faults.
func (s *Service) check(place invite.Place, slot message.Slot, w message.Wording, current map[message.Slot]wording.Version) (*message.Renderer, error) {
	project, ok := s.p.Project(place.Project)
	own := s.p.Board.own(place.Project)
	if !ok || !slices.Contains(own.Languages(), slot.Language) || !slices.Contains(message.Situations(), slot.Situation) {
		return nil, ErrNoMessage
	}
	if faults := w.Check(project.Brand.Name); len(faults) > 0 {
		return nil, &FaultsError{faults}
	}
	all := map[message.Slot]message.Wording{}
	for of, v := range current {
		if of.Language == slot.Language {
			all[of] = v.Wording
		}
	}
	all[slot] = w
	r, err := own.With(all)
	if err != nil {
		return nil, fmt.Errorf("render a wording: %w", err)
	}
	// Mail programs thread messages of one subject, and hide the new ones.
	here, err := r.Wording(slot)
	if err != nil {
		return nil, err
	}
	for _, other := range followed(slot.Situation) {
		there, err := r.Wording(message.Slot{Language: slot.Language, Situation: other})
		if err != nil {
			return nil, err
		}
		if w.Subject != "" && here.Subject == there.Subject {
			return nil, &FaultsError{[]message.WordingFault{{Part: message.PartSubject, Code: message.WordingSame, Text: string(other)}}}
		}
	}
	for _, values := range compose.Trials() {
		m := s.example(project, place.Live, slot, values)
		seen, err := s.p.Composer.InspectWith(r, m)
		if err != nil {
			return nil, fmt.Errorf("render a wording: %w", err)
		}
		before, err := s.p.Composer.InspectWith(own, m)
		if err != nil {
			return nil, fmt.Errorf("render a message of the templates: %w", err)
		}
		known := s.p.Composer.Check(m, before) // of a folder of templates, for which the wording is not to blame
		for _, fault := range s.p.Composer.Check(m, seen) {
			if !slices.Contains(known, fault) {
				return nil, fmt.Errorf("a wording makes a faulty message: %s", fault)
			}
		}
	}
	return r, nil
}

// followed lists the situations whose message an invite can have beside one's.
func followed(of message.Situation) []message.Situation {
	switch of {
	case message.OnFirst, message.OnRequest:
		return []message.Situation{message.OnResend, message.OnReminder}
	case message.OnResend:
		return []message.Situation{message.OnFirst, message.OnRequest, message.OnReminder}
	case message.OnReminder:
		return []message.Situation{message.OnFirst, message.OnRequest, message.OnResend}
	case message.OnReconnect:
	}
	return nil
}

// Save adds a version, if the message's is still base. Texts that are those of the
// templates are stored as empty, so that they follow the templates. false means that
// nothing differs. Errors: ErrNoMessage, ErrForbidden, ErrChanged, *FaultsError.
func (s *Service) Save(ctx context.Context, by access.Principal, slot message.Slot, w message.Wording, base int64) (bool, error) {
	m, err := s.Get(ctx, by, slot)
	if err != nil {
		return false, err
	}
	w = less(w, m.Templates)
	if w == m.Own && m.Version == base {
		return false, nil
	}
	return true, s.put(ctx, by, by.Place, slot, wording.Version{Wording: w, Did: wording.Saved}, base)
}

// less takes those texts out of a wording that say what the templates say.
func less(w, templates message.Wording) message.Wording {
	w = w.Tidy()
	for _, part := range []struct {
		text *string
		same string
	}{{&w.Subject, templates.Subject}, {&w.Lead, templates.Lead}, {&w.Button, templates.Button}} {
		if *part.text == part.same {
			*part.text = ""
		}
	}
	return w
}

// Restore adds a version with the texts of an earlier one; 0 is the templates. Errors:
// ErrNoMessage, ErrForbidden, ErrChanged, *FaultsError.
func (s *Service) Restore(ctx context.Context, by access.Principal, slot message.Slot, version, base int64) error {
	if !by.May(access.ActMessages) {
		return ErrForbidden
	}
	v := wording.Version{Did: wording.Restored, From: version}
	if version != 0 {
		earlier, found, err := wording.Find(ctx, s.p.DB, by.Place, slot, version)
		if err != nil {
			return err
		}
		if !found {
			return ErrNoMessage
		}
		v.Wording = earlier.Wording
	}
	return s.put(ctx, by, by.Place, slot, v, base)
}

// CopyToLive adds a version to live mode with the texts of test mode. It returns false
// where live mode says the same. by acts in test mode. Errors: ErrNoMessage, ErrForbidden, ErrChanged,
// *FaultsError.
func (s *Service) CopyToLive(ctx context.Context, by access.Principal, slot message.Slot, version int64) (bool, error) {
	m, err := s.Get(ctx, by, slot)
	switch {
	case err != nil:
		return false, err
	case by.Live:
		return false, ErrNoMessage
	case m.Version != version:
		return false, ErrChanged // the person looks at other texts than would be copied
	}
	live := by
	live.Place.Live = true // roles are of a project, for both modes
	current, err := s.Get(ctx, live, slot)
	if err != nil {
		return false, err
	}
	if current.Own == m.Own {
		return false, nil
	}
	return true, s.put(ctx, live, live.Place, slot, wording.Version{Wording: m.Own, Did: wording.Copied, From: version}, current.Version)
}

// put checks a version, adds it with its entry in the audit log, and shows it in this
// process at once.
func (s *Service) put(ctx context.Context, by access.Principal, place invite.Place, slot message.Slot, v wording.Version, base int64) error {
	current, err := s.current(ctx, by, place)
	if err != nil {
		return err
	}
	if current[slot].Number != base {
		return ErrChanged
	}
	if _, err := s.check(place, slot, v.Wording, current); err != nil {
		return err
	}
	v.Place, v.Slot, v.Author = place, slot, by.Actor()
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		added, err := wording.Insert(ctx, tx, &v, base)
		if err != nil {
			return err
		}
		if !added {
			return ErrChanged
		}
		data := map[string]string{"did": string(v.Did), "version": strconv.FormatInt(v.Number, 10)}
		if v.Did != wording.Saved {
			data["of"] = strconv.FormatInt(v.From, 10)
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: access.ActMessages, Target: slot.Language + "/" + string(slot.Situation), Data: data})
	})
	if err != nil {
		return err
	}
	_ = s.p.Board.Load(ctx) // after a failure the next round reads it
	return nil
}

// example is a message of a slot with values in the places of names.
func (s *Service) example(project config.Project, live bool, slot message.Slot, values compose.Trial) compose.Message {
	m := s.p.Composer.TryMessage(project, slot.Language, values)
	m.Livemode, m.Kind = live, invite.KindFirst
	m.OneWay = s.p.OneWay != nil && s.p.OneWay(invite.Place{Project: project.ID, Live: live})
	switch slot.Situation {
	case message.OnResend:
		m.Kind = invite.KindResend
	case message.OnReminder:
		m.Kind = invite.KindReminder
	case message.OnReconnect:
		m.IsReconnect = true
	case message.OnRequest:
		m.InitiatedBy = invite.ByUser
	case message.OnFirst:
	}
	return m
}
