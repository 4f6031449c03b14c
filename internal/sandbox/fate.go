package sandbox

import (
	"slices"
	"strings"
)

// fate is what becomes of a message the stand-in took: steps, each some paces
// after the one before.
type fate struct {
	name  string
	steps []step
	// refusals is how many tries meet a 503 before the message is taken.
	refusals int
}

// step is one moment of a fate.
type step struct {
	after  float64 // paces
	happen []happening
	// quiet: the vendor knows, but tells nobody.
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

// mailFates are told by the part of the address before "+" and "@". They are
// data: a function, so that nothing mutable is shared.
func mailFates() []fate {
	delivered := []happening{{name: "processed"}, {name: "delivered", extra: accepted250}}
	deferred := func(n string) []happening {
		return []happening{{name: "deferred", extra: map[string]string{
			"response": "451 4.7.1 Greylisting in action, please come back later", "attempt": n,
		}}}
	}
	blocked := mailBounce("blocked", "5.7.1", "Reputation", "550 5.7.1 Message blocked due to the reputation of the sending server")
	blocked[0].suppress = "blocks"
	return []fate{
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

// smsFates are told by the number, in the range reserved for fiction.
func smsFates() []fate {
	delivered := []happening{{name: "sent"}, {name: "delivered"}}
	lost := func(name, status string, code int) fate {
		return fate{name: name, steps: []step{{after: 1, happen: []happening{{name: "sent"}, {name: status, code: code}}}}}
	}
	return []fate{
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

// fateNamed finds a fate; anything unheard of is delivered.
func fateNamed(channel, name string) fate {
	fates := mailFates()
	if channel == sms {
		fates = smsFates()
	}
	if i := slices.IndexFunc(fates, func(f fate) bool { return f.name == name }); i >= 0 {
		return fates[i]
	}
	return fates[0]
}

// mailFate reads an address: bounced+anything@connectlink.test bounces. The
// scripts hold for that domain only, elsewhere "bounced" may be a person.
func mailFate(address string) fate {
	name, _, scripted := scriptedLocal(address)
	if !scripted {
		name = "delivered"
	}
	return fateNamed(email, name)
}

// scriptedLocal splits an address of the scripted domain into the word that
// decides its delivery and the words that say what the person does.
func scriptedLocal(address string) (name string, words []string, ok bool) {
	local, domain, _ := strings.Cut(fold(address), "@")
	if domain != "connectlink.test" {
		return "", nil, false
	}
	parts := strings.Split(local, "+")
	return parts[0], parts[1:], true
}

// smsFate reads a number.
func smsFate(number string) fate {
	names := map[string]string{
		"+12025550103": "unreachable", "+12025550105": "unknown", "+12025550106": "landline",
		"+12025550107": "filtered", "+12025550108": "silent", "+12025550110": "stops", "+12025550111": "connects",
	}
	return fateNamed(sms, names[number])
}

// smsRefusal is Twilio's synchronous answer to its own magic numbers.
func smsRefusal(number string) (code int, refused bool) {
	code, refused = map[string]int{
		"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408,
		"+15005550004": 21610, "+15005550009": 21614,
	}[number]
	return code, refused
}

// journeyOf says what the reader of a message will do, "" for nothing.
func journeyOf(channel, to string) (kind string, slow bool) {
	if channel == sms {
		if smsFate(to).name == "connects" {
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
