package visit

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

const (
	// passcodeLife is how long digits may be entered, and passcodeTries how many
	// wrong ones end them. With passcodesPerDay that is 30 guesses a day out of a
	// million, each five of which write to the person whose link it is.
	passcodeLife    = 10 * time.Minute
	passcodeTries   = 5
	passcodesPerDay = 6
	// robotPasscodes is how many of the day's robots may cause: they must not
	// use up what a person needs.
	robotPasscodes = 2
	passcodePause  = time.Minute
	passcodeDigits = 6
)

// Verification is what the page that asks for a passcode says.
type Verification struct {
	// Channel is by which the newest passcode was sent; empty when none was, and
	// none can be.
	Channel invite.Channel
	Said    Said
	Left    int  // tries
	Ended   bool // it takes no more digits: they ran out, or the tries did
	// Undelivered: the message is known not to have arrived.
	Undelivered bool
	// CanSend: another may be asked for, in Wait. Without it the day's are used up.
	CanSend bool
	Wait    time.Duration
	Lasts   time.Duration // until the passcode ends
}

// Said is what became of the digits that were just entered.
type Said string

// What may have become of them.
const (
	SaidNothing   Said = ""
	SaidWrong     Said = "wrong"
	SaidMalformed Said = "malformed" // not six digits; no try was counted
	SaidTooOften  Said = "too_often" // the last try is used up
	SaidTooLate   Said = "too_late"  // they ended, or were used before
)

// isLive reports whether digits can still be entered. Those that were right once
// count again for a minute, which is a double tap, and until there was a link
// for them: Pipedream may have had none just then.
func isLive(p ledger.Passcode) bool {
	if p.Left <= 0 || p.Tries >= passcodeTries {
		return false
	}
	return !p.Passed || !p.Spent || p.SincePassed <= sameLinkFor
}

// Verifying is the page that asks for a passcode, where one was asked for and
// the invite is still open; else the link's own page. It changes nothing.
func (s *Service) Verifying(ctx context.Context, code secret.Text) (Page, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Page{State: Unknown}, err
	}
	page, err := s.page(row)
	if err != nil || !page.State.open() || row.Verify != invite.VerifyCode {
		return page, err
	}
	return s.verifying(ctx, s.p.DB, page, row)
}

// verifying turns a page into the one that asks for a passcode; it stays what it
// is while none was ever sent.
func (s *Service) verifying(ctx context.Context, db postgres.DB, page Page, row ledger.Coded) (Page, error) {
	p, ok, err := ledger.FindPasscode(ctx, db, row.ID)
	if err != nil || !ok {
		return page, err
	}
	sent, _, err := ledger.CountPasscodes(ctx, db, row.ID)
	if err != nil {
		return page, err
	}
	page.State = Verify
	page.Verification = Verification{
		Channel: p.Channel, Left: max(passcodeTries-p.Tries, 0), Ended: !isLive(p), Undelivered: p.Status.DidNotArrive(),
		CanSend: sent < passcodesPerDay && row.Via != nil && !s.isPaused(row, page.Content), Wait: max(passcodePause-p.Age, 0), Lasts: max(p.Left, 0),
	}
	return page, nil
}

// SendPasscode sends six digits by the channel by which the opened link came. An
// answer that another stands, that one was sent a moment ago, or that the day's
// are used up is the same page. A link that asks for none gives its own page.
//
// Another that is still good is kept unless another is wanted: opening the link
// twice must not make the digits useless that are on their way.
func (s *Service) SendPasscode(ctx context.Context, code secret.Text, e Evidence) (Page, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Page{State: Unknown}, err
	}
	page, err := s.page(row)
	if err != nil || !page.State.open() || row.Verify != invite.VerifyCode {
		return page, err
	}
	if !row.Live {
		e.Automated = false
	}
	if e.LooksLike() != Person {
		if page.Held, err = s.hold(ctx, row, e); err != nil || page.Held {
			return page, err
		}
	}
	return s.challenge(ctx, row, code, e, true)
}

// challenge sees to it that a passcode is there or on its way.
func (s *Service) challenge(ctx context.Context, row ledger.Coded, code secret.Text, e Evidence, another bool) (Page, error) {
	var page Page
	var sent bool
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		// Read again under the lock: it may have ended, or been asked for twice.
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok {
			page = Page{State: Unknown}
			return err
		}
		if page, err = s.page(row); err != nil || !page.State.open() {
			return err
		}
		if sent, err = s.sendPasscode(ctx, tx, locked, row, page.Content, e, another); err != nil {
			return err
		}
		page.State = Verify // also where there is nothing to be sent, and nowhere to send it to
		page, err = s.verifying(ctx, tx, page, row)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("send a passcode of invite %s: %w", row.ID, err)
	}
	if sent {
		s.p.Wake(*row.Lane)
	}
	return page, nil
}

// sendPasscode queues one, unless something stands against it.
func (s *Service) sendPasscode(ctx context.Context, tx pgx.Tx, locked ledger.Locked, row ledger.Coded, c invite.Content, e Evidence, another bool) (bool, error) {
	if row.Via == nil || row.Lane == nil {
		return false, nil
	}
	to := Address{InviteID: row.ID, Place: row.Place, Channel: invite.Channel(*row.Via)}
	address := c.Recipient.Address(to.Channel)
	if address == "" {
		return false, nil
	}
	// A passcode that waits for the end of a pause ends before it leaves.
	if s.isPaused(row, c) {
		return false, nil
	}
	to.To = secret.New(address)
	p, ok, err := ledger.FindPasscode(ctx, tx, row.ID)
	if err != nil {
		return false, err
	}
	leaving := p.Left > 0 && (p.Status == invite.Queued || p.Status == invite.Sending)
	if ok && (p.Age < passcodePause || leaving || isLive(p) && !another) {
		return false, nil
	}
	all, byRobots, err := ledger.CountPasscodes(ctx, tx, row.ID)
	if err != nil || all >= passcodesPerDay || e.LooksLike() != Person && byRobots >= robotPasscodes {
		return false, err
	}
	blocked, err := s.p.Suppressions.Suppressed(ctx, tx, to)
	if err != nil || blocked {
		return false, err
	}
	return s.storePasscode(ctx, tx, locked, row, to, e)
}

// isPaused reports whether a message by the channel of the opened link would wait for
// the end of a pause.
func (s *Service) isPaused(row ledger.Coded, c invite.Content) bool {
	if row.Via == nil || row.Lane == nil {
		return false
	}
	ch := invite.Channel(*row.Via)
	_, paused := s.p.Pauses.Find(traffic.Message{Place: row.Place, Channel: ch, Address: c.Recipient.Address(ch), By: row.CreatedBy.String()})
	return paused || s.p.Pauses.Held(*row.Lane)
}

// storePasscode queues a passcode; it reports false where a sending limit refuses it.
func (s *Service) storePasscode(ctx context.Context, tx pgx.Tx, locked ledger.Locked, row ledger.Coded, to Address, e Evidence) (bool, error) {
	digits, err := newPasscode()
	if err != nil {
		return false, err
	}
	d := ledger.Delivery{
		ID: invite.New[invite.DeliveryID](), Number: len(locked.State.Deliveries) + 1, Channel: to.Channel, Kind: invite.KindPasscode, Lane: *row.Lane,
	}
	ok, err := s.withinLimits(ctx, tx, row.ID, func(tx pgx.Tx) error {
		return ledger.InsertDelivery(ctx, tx, row.ID, d, s.uses(to, d.Kind))
	})
	if !ok || err != nil {
		return false, err
	}
	sealed, err := s.p.Box.Seal([]byte(digits.Reveal()), seal.AD{Column: "passcodes.digits", ID: d.ID.UUID()})
	if err != nil {
		return false, fmt.Errorf("seal a passcode: %w", err)
	}
	hash := ledger.PasscodeHashes(s.p.Box, d.ID, digits.Reveal())[0]
	if err := ledger.InsertPasscode(ctx, tx, row.ID, d.ID, hash, sealed, passcodeLife); err != nil {
		return false, err
	}
	asked := e.data(row.SinceDelivery)
	asked.Channel = to.Channel
	return true, s.record(ctx, tx, row.ID,
		invite.Event{Type: invite.EventVerifyRequested, Actor: recipientActor(), DeliveryID: d.ID, Data: asked},
		invite.Event{Type: invite.EventDeliveryQueued, Actor: recipientActor(), DeliveryID: d.ID, Data: invite.Data{Channel: to.Channel, Kind: invite.KindPasscode}})
}

func newPasscode() (secret.Text, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return secret.Text{}, fmt.Errorf("draw a passcode: %w", err)
	}
	return secret.New(fmt.Sprintf("%0*d", passcodeDigits, n)), nil
}

// EnterPasscode takes the digits that a person typed and, if they are right,
// leads on as a press of the button does where no passcode is asked for. Right
// digits count once; nothing is remembered in the browser.
func (s *Service) EnterPasscode(ctx context.Context, code, typed secret.Text, e Evidence) (Pressed, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Pressed{Page: Page{State: Unknown}}, err
	}
	page, err := s.page(row)
	if err != nil || !page.State.open() || row.Verify != invite.VerifyCode {
		return Pressed{Page: page}, err
	}
	if !row.Live {
		e.Automated = false
	}
	if e.LooksLike() != Person {
		// A robot that fills in forms must not use up a person's tries.
		held, err := s.hold(ctx, row, e)
		if err != nil {
			return Pressed{}, err
		}
		if held {
			page, err = s.verifying(ctx, s.p.DB, page, row)
			page.Held = true
			return Pressed{Page: page}, err
		}
	}
	page, right, err := s.check(ctx, row, code, typed)
	if err != nil || !right {
		return Pressed{Page: page}, err
	}
	return s.pressOnce(ctx, row, code, page, e)
}

// check compares digits, under the invite's lock. The page is what to show where
// they are not right.
func (s *Service) check(ctx context.Context, row ledger.Coded, code, typed secret.Text) (page Page, right bool, err error) {
	digits := cleanDigits(typed.Reveal())
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		right = false
		if _, err := ledger.Lock(ctx, tx, row.ID); err != nil {
			return err
		}
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok {
			page = Page{State: Unknown}
			return err
		}
		if page, err = s.page(row); err != nil || !page.State.open() {
			return err
		}
		p, ok, err := ledger.FindPasscode(ctx, tx, row.ID)
		if err != nil || !ok {
			return err // no passcode was requested: the link's own page explains it
		}
		said, err := s.compare(ctx, tx, row.ID, p, digits)
		if err != nil {
			return err
		}
		if right = said == SaidNothing; right {
			return nil
		}
		page, err = s.verifying(ctx, tx, page, row)
		page.Verification.Said = said
		return err
	})
	if err != nil {
		return Page{}, false, fmt.Errorf("check a passcode of invite %s: %w", row.ID, err)
	}
	return page, right, nil
}

func (s *Service) compare(ctx context.Context, tx pgx.Tx, id invite.ID, p ledger.Passcode, digits string) (Said, error) {
	var right int
	switch {
	case p.Tries >= passcodeTries:
		return SaidTooOften, nil
	case !isLive(p):
		return SaidTooLate, nil
	case len(digits) != passcodeDigits:
		return SaidMalformed, nil
	}
	for _, h := range ledger.PasscodeHashes(s.p.Box, p.DeliveryID, digits) {
		right |= subtle.ConstantTimeCompare(h, p.Hash)
	}
	if right == 0 {
		tries, err := ledger.SetWrongTry(ctx, tx, id, p.DeliveryID)
		if err != nil {
			return "", err
		}
		said := SaidWrong
		if tries >= passcodeTries {
			said = SaidTooOften
		}
		return said, s.record(ctx, tx, id, invite.Event{
			Type: invite.EventVerifyFailed, Actor: recipientActor(), DeliveryID: p.DeliveryID,
			Data: invite.Data{Channel: p.Channel, Attempt: tries, Outcome: string(said)},
		})
	}
	first, err := ledger.SetPassed(ctx, tx, id, p.DeliveryID)
	if err != nil || !first {
		return SaidNothing, err
	}
	return SaidNothing, s.record(ctx, tx, id, invite.Event{
		Type: invite.EventVerifyPassed, Actor: recipientActor(), DeliveryID: p.DeliveryID, Data: invite.Data{Channel: p.Channel},
	})
}

// cleanDigits takes what people paste and type: with spaces and dashes, and in
// the digits of their own script.
func cleanDigits(typed string) string {
	var b strings.Builder
	for _, r := range typed {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(r)
		case unicode.IsDigit(r):
			b.WriteByte('0' + digitValue(r))
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), unicode.Is(unicode.Cf, r):
		default:
			return "" // a letter: this is something else
		}
		if b.Len() > passcodeDigits {
			return ""
		}
	}
	return b.String()
}

// digitValue is the value of a decimal digit of any script: how far it stands
// from the zero of its run of ten (Unicode, section 4.6).
func digitValue(r rune) byte {
	n := byte(0)
	for z := r; unicode.IsDigit(z - 1); z-- {
		n++
	}
	return n % 10
}
