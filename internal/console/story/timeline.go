package story

import (
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// Happened is an event as the timeline needs it.
type Happened struct {
	Seq        int
	Type       invite.EventType
	Actor      invite.Actor
	DeliveryID invite.DeliveryID
	AttemptID  invite.AttemptID
	Data       invite.Data
	Words      string // of a person or a provider, as they may be shown
	At         time.Time
}

// Try is one attempt to reach the person: what led to a message and all that
// followed from it.
type Try struct {
	Number  int
	Title   string
	Channel invite.Channel
	Entries []Entry // newest first
}

// Entry is one line of the timeline.
type Entry struct {
	Seq    int // of the newest of the events it stands for
	Times  int // how many there are
	At     time.Time
	Tone   Tone
	Icon   string
	Title  string
	Advice string // what to do about it; empty where nothing is
	Words  string // of a person or a provider
	Who    string // the name of the actor; empty if the actor has none
	Bulk   string // the act on many invites that it was a part of
	Facts  []Fact // technical details
	// Sending: an attempt began, which has the number of the event before it.
	Sending bool
}

// Tone is how good a thing is, for its sign and colour.
type Tone string

// The tones.
const (
	Good Tone = "good"
	Bad  Tone = "bad"
	Warn Tone = "warn"
	Busy Tone = "busy"
	Calm Tone = "calm"
)

// Fact is a technical detail: words of the machine, not translated.
type Fact struct{ Name, Value string }

// Timeline describes events, the newest attempt first. who returns the name
// of an actor that has one: an API key or a member of staff.
func Timeline(w Words, events []Happened, app string, who func(invite.Actor) string) []Try {
	var tries []Try
	of := map[invite.DeliveryID]int{} // which try a message belongs to
	begin := func(e Happened) {
		tries = append(tries, Try{Number: len(tries) + 1, Channel: e.Data.Channel})
	}
	for _, e := range events {
		if len(tries) == 0 || startsAttempt(e.Type) {
			begin(e)
		}
		at := len(tries) - 1
		if !e.DeliveryID.IsZero() {
			if known, ok := of[e.DeliveryID]; ok {
				at = known // late news of an earlier message
			} else {
				of[e.DeliveryID] = at
			}
		}
		if tries[at].Channel == "" {
			tries[at].Channel = e.Data.Channel
		}
		tries[at].add(newEntry(w, e, app, who))
	}
	for i := range tries {
		t := &tries[i]
		t.Title = attemptTitle(w, t.Number, t.Channel)
		slices.Reverse(t.Entries)
	}
	slices.Reverse(tries)
	return tries
}

// startsAttempt reports whether another message, or a chance of one, begins with it.
func startsAttempt(t invite.EventType) bool {
	return t == invite.EventResent || t == invite.EventRenewed || t == invite.EventFallback
}

// add appends an entry. What scanners do by the dozen is one line, and so is
// what two sources say alike: our call's answer, and the provider's callback.
func (t *Try) add(e Entry) {
	if n := len(t.Entries); n > 0 && e.Tone == Busy && e.Title == t.Entries[n-1].Title && e.Words == "" && e.Advice == "" {
		t.Entries[n-1].Seq = e.Seq
		t.Entries[n-1].Facts = append(t.Entries[n-1].Facts, e.Facts...)
		return
	}
	if n := len(t.Entries); n > 0 && e.Title == t.Entries[n-1].Title && e.Icon == "eye" && e.Tone == Calm {
		last := &t.Entries[n-1]
		last.Times++
		last.Seq, last.At, last.Facts = e.Seq, e.At, e.Facts
		return
	}
	t.Entries = append(t.Entries, e)
}

func newEntry(w Words, e Happened, app string, who func(invite.Actor) string) Entry {
	out := Entry{Seq: e.Seq, Times: 1, At: e.At, Tone: Calm, Icon: "dot", Words: e.Words, Who: who(e.Actor), Bulk: e.Data.Bulk, Facts: technicalFacts(e)}
	if !out.delivery(w, e) && !out.link(w, e, app) {
		out.act(w, e, app)
	}
	if ex, ok := invite.ExplainEvent(e.Data.Reason, e.Type); ok && out.Advice == "" {
		out.Advice = w.T(ex.Title) + " " + w.T(ex.Advice)
	}
	return out
}

func (o *Entry) say(tone Tone, icon, title string) bool {
	o.Tone, o.Icon, o.Title = tone, icon, title
	return true
}

// delivery is what became of a message.
func (o *Entry) delivery(w Words, e Happened) bool {
	switch e.Type {
	case invite.EventDeliveryQueued:
		switch e.Data.Kind {
		case "passcode":
			return o.say(Busy, "clock", w.T("A passcode waits to be sent"))
		case "reminder":
			return o.say(Busy, "clock", w.T("A reminder waits to be sent"))
		}
		return o.say(Busy, "clock", w.T("A message waits to be sent"))
	case invite.EventDeliverySending:
		o.Sending = true
		if name := ProviderName(e.Data.Provider); name != "" {
			return o.say(Busy, "send", w.T("Sent to %s", name))
		}
		return o.say(Busy, "send", w.T("Sent to the provider"))
	case invite.EventDeliveryRetry:
		return o.say(Warn, "clock", w.T("The message was not sent; retrying"))
	case invite.EventDeliveryAccepted:
		if name := ProviderName(e.Data.Provider); name != "" {
			return o.say(Busy, "send", w.T("Accepted by %s", name))
		}
		return o.say(Busy, "send", w.T("Accepted by the provider"))
	case invite.EventDeliverySent:
		return o.say(Busy, "send", w.T("Passed on by the provider"))
	case invite.EventDeliveryDeferred:
		return o.say(Warn, "clock", w.T("Delayed by the recipient's system"))
	case invite.EventDeliveryDelivered:
		return o.say(Good, "check", w.T("Delivered"))
	case invite.EventDeliveryBounced:
		return o.say(Bad, "alert", w.T("Bounced: the mail came back"))
	case invite.EventDeliveryUndelivered:
		return o.say(Bad, "alert", w.T("The text message could not be delivered"))
	case invite.EventDeliveryRejected:
		return o.say(Bad, "ban", w.T("The message was rejected"))
	case invite.EventDeliverySuppressed:
		return o.say(Bad, "ban", w.T("Not sent: the address is blocked"))
	case invite.EventDeliveryComplained:
		return o.say(Bad, "flag", w.T("Marked as spam by the person"))
	case invite.EventDeliveryUnknown:
		return o.say(Warn, "help", w.T("Unknown whether the message was sent"))
	case invite.EventDeliveryCanceled:
		return o.say(Calm, "x", w.T("Not sent: the invite ended first"))
	case invite.EventDeliveryNoReceipt:
		return o.say(Warn, "help", w.T("No delivery report came"))
	}
	return false
}

// link is what happened to links, by whom.
func (o *Entry) link(w Words, e Happened, app string) bool {
	switch e.Type {
	case invite.EventLinkMinted:
		if e.Data.LinkExpires != nil {
			return o.say(Calm, "link", w.T("Pipedream issued a connect link, valid for %s", w.Span(e.Data.LinkExpires.Sub(e.At).Round(time.Minute))))
		}
		return o.say(Calm, "link", w.T("Pipedream issued a connect link"))
	case invite.EventMintFailed:
		if e.Data.Outcome == "refused" {
			return o.say(Bad, "link", w.T("Pipedream refused to issue a connect link"))
		}
		return o.say(Warn, "link", w.T("Pipedream could not issue a connect link; retrying"))
	case invite.EventFetched:
		switch e.Data.LooksLike {
		case invite.LooksLikeScanner:
			o.Advice = w.T("Mail systems open links before people do. This changes nothing.")
			return o.say(Calm, "eye", w.T("Probably opened by a mail scanner"))
		case invite.LooksLikePreviewRobot:
			return o.say(Calm, "eye", w.T("An app fetched a preview of the link"))
		}
		return o.say(Calm, "eye", w.T("Link opened (no person confirmed)"))
	case invite.EventVisited:
		return o.say(Good, "eye", w.T("The person opened the page"))
	case invite.EventContinued:
		if e.Data.LooksLike != "" && e.Data.LooksLike != invite.LooksLikePerson {
			return o.say(Calm, "eye", w.T("A bot pressed the button; this changes nothing"))
		}
		return o.say(Good, "external", w.T("Continued to Pipedream"))
	case invite.EventConnectFailed:
		o.Advice = w.T("They can try again with the same link. If it fails twice, ask which message the page showed.")
		return o.say(Bad, "plug", w.T("%s failed to connect", isolate(app)))
	case invite.EventConnected:
		return o.say(Good, "plug", w.T("%s is connected", isolate(app)))
	case invite.EventConnectedAsOther:
		o.Advice = w.T("The connected account has a different email address than the recipient. Ask the person whether it is the right one.")
		return o.say(Warn, "plug", w.T("Possibly not the recipient's account"))
	case invite.EventAlreadyConnected:
		return o.say(Calm, "plug", w.T("Another invite of this person got the account"))
	case invite.EventConnectionUnhealthy:
		if e.Data.Outcome == string(invite.AccountDeleted) {
			o.Advice = w.T("The person has to connect a new account.")
			return o.say(Bad, "plug", w.T("The connected account was deleted at Pipedream"))
		}
		o.Advice = w.T("The access was revoked or has expired. The person has to connect the account again.")
		return o.say(Bad, "plug", w.T("The connected account no longer works"))
	case invite.EventConnectionRecovered:
		return o.say(Good, "plug", w.T("The connected account works again"))
	case invite.EventReconnectInvited:
		return o.say(Calm, "plug", w.T("An invite to reconnect the account was created"))
	case invite.EventReconnectSkipped:
		if e.Data.Outcome == "max_reconnects_per_person" {
			o.Advice = w.T("This person got an invite to reconnect within the last seven days.")
		}
		return o.say(Warn, "plug", w.T("No invite to reconnect the account was sent"))
	case invite.EventConnectedLate:
		o.Advice = w.T("Nothing was removed. Decide with the product's team whether the account should stay.")
		return o.say(Warn, "plug", w.T("An account was connected although the invite was revoked"))
	case invite.EventCopied:
		return o.say(Calm, "copy", w.T("The invite link was copied"))
	}
	return false
}

// reply is what the person answered to a text.
func (o *Entry) reply(w Words, outcome string) {
	switch outcome {
	case "STOP":
		o.Advice = w.T("This sender may not text them. Only the person can undo it, by texting START.")
		o.say(Bad, "flag", w.T("The person replied STOP"))
	case "START":
		o.say(Good, "check", w.T("The person replied START: texts may be sent again"))
	case "HELP":
		o.say(Calm, "help", w.T("The person asked for help by text message"))
	case "like_stop":
		o.Advice = w.T("The reply is not a keyword, so nothing was blocked. If they want no more texts, block the number.")
		o.say(Warn, "flag", w.T("The person replied, perhaps to stop the texts"))
	default:
		o.say(Warn, "person", w.T("The person replied by text message"))
	}
}

// act describes an action of a person or of the service.
func (o *Entry) act(w Words, e Happened, app string) {
	switch e.Type {
	case invite.EventCreated:
		if e.Actor.Kind == invite.ActorStaff {
			o.say(Calm, "plus", w.T("Created in the console"))
			return
		}
		if e.Actor.Kind == invite.ActorSystem {
			o.Advice = w.T("The project's settings ask for it: on_unhealthy is invite.")
			o.say(Calm, "plus", w.T("Created automatically because the connected account no longer works"))
			return
		}
		if e.Data.OtherInvite != "" {
			o.say(Calm, "plus", w.T("Created to reconnect an account"))
			return
		}
		o.say(Calm, "plus", w.T("The product created this invite"))
	case invite.EventResent:
		o.say(Calm, "send", w.T("Resent"))
	case invite.EventAddressCorrected:
		o.Advice = w.T("Links in earlier messages stopped working.")
		o.say(Calm, "person", w.T("The address was corrected"))
	case invite.EventRenewed:
		o.say(Calm, "send", w.T("The person asked for a new link"))
	case invite.EventExtended:
		if e.Data.ExpiresAt != nil {
			o.Advice = w.T("Nothing was sent. Links in earlier messages work until %s UTC.", e.Data.ExpiresAt.UTC().Format("2006-01-02 15:04"))
		}
		o.say(Calm, "clock", w.T("The time to connect was extended"))
	case invite.EventExpired:
		o.say(Warn, "clock", w.T("The invite expired"))
	case invite.EventReported:
		o.Advice = w.T("The link was cancelled. For ten minutes the person can take the report back.")
		if e.Data.Suppressed {
			o.Advice = w.T("The link was cancelled and the address suppressed. For ten minutes the person can take the report back.")
		}
		o.say(Bad, "flag", w.T("The person reported that it is not for them"))
	case invite.EventReportWithdrawn:
		o.Advice = w.T("The link works again.")
		if e.Data.Suppressed {
			o.Advice = w.T("The link works again, and the address is no longer suppressed.")
		}
		o.say(Good, "check", w.T("The person took the report back: they pressed it by mistake"))
	case invite.EventRevoked:
		o.say(Warn, "x", w.T("Revoked"))
	case invite.EventReplaced:
		o.say(Calm, "x", w.T("Replaced by a newer invite"))
	case invite.EventErased:
		o.say(Warn, "x", w.T("Personal data was erased"))
	case invite.EventVerifyRequested:
		o.say(Calm, "key", w.T("The person asked for a passcode"))
	case invite.EventVerifyPassed:
		o.say(Good, "check", w.T("Passcode confirmed"))
	case invite.EventVerifyFailed:
		o.say(Warn, "key", w.T("A wrong passcode was entered"))
	case invite.EventReminded:
		o.say(Calm, "send", w.T("Reminder created"))
	case invite.EventReplied:
		o.reply(w, e.Data.Outcome)
	case invite.EventOptedOut:
		o.say(Warn, "ban", w.T("The person ended these messages on the page"))
	case invite.EventOptedIn:
		o.say(Good, "check", w.T("The person resumed these messages on the page"))
	case invite.EventReminderSkipped:
		o.say(Calm, "send", w.T("No reminder will be sent"))
	case invite.EventFallback:
		o.say(Calm, "send", w.T("The first channel failed; trying the other one"))
	case invite.EventFallbackSkipped:
		o.say(Warn, "send", w.T("The other channel cannot be tried"))
	default:
		// A kind of event that is newer than these words still has its place.
		o.say(Calm, "dot", string(e.Type))
	}
}

// technicalFacts are what those who may see technical details want to know.
func technicalFacts(e Happened) []Fact {
	var out []Fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, Fact{name, value})
		}
	}
	add("event", string(e.Type))
	add("actor", string(e.Actor.Kind)+" "+e.Actor.ID)
	add("request", e.Data.RequestID)
	add("delivery", e.DeliveryID.String())
	add("attempt", e.AttemptID.String())
	add("provider", e.Data.Provider)
	add("provider code", e.Data.ProviderCode)
	add("reason", string(e.Data.Reason))
	add("outcome", e.Data.Outcome)
	add("network cause", e.Data.Cause)
	add("account", e.Data.AccountID)
	add("looks like", e.Data.LooksLike)
	for _, s := range e.Data.Signs {
		add("sign", s)
	}
	add("learnt from", e.Data.Source)
	add("other invite", e.Data.OtherInvite+e.Data.ReplacedBy)
	if e.Data.RetryAt != nil {
		add("tried again at", e.Data.RetryAt.UTC().Format(time.RFC3339))
	}
	return out
}
