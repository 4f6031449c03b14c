package sandbox

import (
	"strings"
)

// fate is what becomes of a message the stand-in took: steps, each some paces
// after the one before.
type outcome struct {
	name  string
	steps []step
	// refusals is how many tries meet a 503 before the message is taken.
	refusals int
}

// step is one moment of a fate.
type step struct {
	after  float64 // paces
	happen []happening
	// quiet: the vendor knows, but sends no callback.
	quiet bool
	// arrives: the message now lies before its reader.
	arrives bool
	// suppress: the vendor puts the address on this list.
	suppress string
}

// happening is one event of a step. Extra are the vendor's own members;
// "{email}" in them becomes the address, as bounce texts quote it.
type happening struct {
	name  string
	code  int
	extra map[string]string
}

func mailBounce(kind, status, class, reason string) []step {
	return []step{{after: 1, suppress: "bounces", happen: []happening{{name: "processed"}, {name: "bounce", extra: map[string]string{
		"type": kind, "status": status, "bounce_classification": class, "reason": reason,
	}}}}}
}

var accepted250 = map[string]string{"response": "250 2.0.0 OK queued as 7c3f1b2a"}

// mailOutcomes are told by the part of the address before "+" and "@".
func mailOutcomes() []outcome {
	delivered := []happening{{name: "processed"}, {name: "delivered", extra: accepted250}}
	deferred := func(n string) []happening {
		return []happening{{name: "deferred", extra: map[string]string{
			"response": "451 4.7.1 Greylisting in action, please come back later", "attempt": n,
		}}}
	}
	blocked := mailBounce("blocked", "5.7.1", "Reputation", "550 5.7.1 Message blocked due to the reputation of the sending server")
	blocked[0].suppress = "blocks"
	return []outcome{
		{name: "delivered", steps: []step{{after: 1, happen: delivered, arrives: true}}},
		{name: "bounced", steps: mailBounce("bounce", "5.1.1", "Invalid Address", "550 5.1.1 <{email}>: Recipient address rejected: User unknown")},
		{name: "mailboxfull", steps: mailBounce("bounce", "5.2.2", "Mailbox Unavailable", "552 5.2.2 <{email}>: The recipient's mailbox is full")},
		{name: "blocked", steps: blocked},
		{name: "delayed", steps: []step{
			{after: 1, happen: append([]happening{{name: "processed"}}, deferred("1")...)},
			{after: 2, happen: deferred("2")},
			{after: 3, happen: []happening{{name: "delivered", extra: accepted250}}, arrives: true},
		}},
		{name: "suppressed", steps: []step{{after: 1, happen: []happening{{name: "dropped", extra: map[string]string{
			"reason": "Bounced Address", "status": "5.0.0",
		}}}}}},
		{name: "complained", steps: []step{
			{after: 1, happen: delivered, arrives: true},
			{after: 2, happen: []happening{{name: "spamreport"}}, suppress: "spam_reports"},
		}},
		{name: "silent", steps: []step{{after: 1, happen: delivered, quiet: true, arrives: true}}},
		{name: "providerdown", refusals: 3, steps: []step{{after: 1, happen: delivered, arrives: true}}},
	}
}

// smsOutcomes are told by the number, in the range reserved for fiction.
func smsOutcomes() []outcome {
	delivered := []happening{{name: "sent"}, {name: "delivered"}}
	lost := func(name, status string, code int) outcome {
		return outcome{name: name, steps: []step{{after: 1, happen: []happening{{name: "sent"}, {name: status, code: code}}}}}
	}
	return []outcome{
		{name: "delivered", steps: []step{{after: 1, happen: delivered, arrives: true}}},
		lost("unreachable", "undelivered", 30003),
		lost("unknown", "undelivered", 30005),
		lost("landline", "undelivered", 30006),
		lost("filtered", "undelivered", 30007),
		{name: "silent", steps: []step{{after: 1, happen: []happening{{name: "sent"}}, quiet: true, arrives: true}}},
		{name: "stops", steps: []step{
			{after: 1, happen: delivered, arrives: true},
			{after: 2, suppress: optOuts},
		}},
		{name: "connects", steps: []step{{after: 1, happen: delivered, arrives: true}}},
	}
}

// optOuts is the list of numbers that replied STOP.
const optOuts = "opt_outs"

// fateBook holds the fates of each channel by name. It is read-only: made once,
// because every message asks it several times.
type outcomeBook map[string]map[string]outcome

func newFateBook() outcomeBook {
	book := outcomeBook{email: {}, sms: {}}
	for channel, fates := range map[string][]outcome{email: mailOutcomes(), sms: smsOutcomes()} {
		for _, f := range fates {
			book[channel][f.name] = f
		}
	}
	return book
}

// named finds a fate; anything unheard of is delivered.
func (b outcomeBook) named(channel, name string) outcome {
	if f, ok := b[channel][name]; ok {
		return f
	}
	return b[channel]["delivered"]
}

// mail reads an address: bounced+anything@connectlink.test bounces. The
// scripts hold for that domain only, elsewhere "bounced" may be a person.
func (b outcomeBook) mail(address string) outcome {
	name, _, scripted := scriptedLocal(address)
	if !scripted {
		name = "delivered"
	}
	return b.named(email, name)
}

// text reads a number.
func (b outcomeBook) text(number string) outcome { return b.named(sms, smsFateName(number)) }

// scriptedLocal splits an address of the scripted domain into the word that
// decides its delivery and the words for the person's behaviour.
func scriptedLocal(address string) (name string, words []string, ok bool) {
	local, domain, _ := strings.Cut(fold(address), "@")
	if domain != "connectlink.test" {
		return "", nil, false
	}
	parts := strings.Split(local, "+")
	return parts[0], parts[1:], true
}

func smsFateName(number string) string {
	switch number {
	case "+12025550103":
		return "unreachable"
	case "+12025550105":
		return "unknown"
	case "+12025550106":
		return "landline"
	case "+12025550107":
		return "filtered"
	case "+12025550108":
		return "silent"
	case "+12025550110":
		return "stops"
	case "+12025550111":
		return "connects"
	}
	return "delivered"
}

// smsRefusal is Twilio's synchronous answer to its own magic numbers.
func smsRefusal(number string) (code int, refused bool) {
	switch number {
	case "+15005550001":
		return 21211, true
	case "+15005550002":
		return 21612, true
	case "+15005550003":
		return 21408, true
	case "+15005550004":
		return 21610, true
	case "+15005550009":
		return 21614, true
	}
	return 0, false
}

// journeyOf returns the behaviour of a message's reader, "" for none.
func journeyOf(channel, to string) (kind string, slow bool) {
	if channel == sms {
		if smsFateName(to) == "connects" {
			return "connect", false
		}
		return "", false
	}
	_, words, _ := scriptedLocal(to)
	for _, w := range words {
		if w == "slow" {
			slow = true
		} else if kind == "" && knownJourney(w) {
			kind = w
		}
	}
	if kind == "" && slow {
		kind = "connect" // "+slow" alone: the whole way, slowly
	}
	return kind, slow
}
