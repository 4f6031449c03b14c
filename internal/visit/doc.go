// Package visit is what recipients do with an invite link: open it, go on to
// Pipedream, come back.
//
// # What changes what
//
// Mail scanners open links, run their scripts and submit forms that submit
// themselves. So opening a page changes nothing but a short fetch log; a person
// counts as a visitor when the page's beacon came, which a hand on the page
// sends; and only a press of the button hands out a connect link. A press is
// idempotent for a minute: the second tap of a double tap gets the same link.
// Later presses get a new link, because nobody can tell whether a token was
// spent.
//
// A press that looks like a robot's (see Evidence) is answered with the page,
// which asks for another; that one is given a link, so that nobody is ever shut
// out. It is recorded with its class and its signs, moves no progress, and is
// capped. What a robot was given is not given to a person: they get their own.
// A program that clicks like a hand cannot be told from one, and uses nothing
// up either.
//
// # Passcodes
//
// An invite may ask for six digits before it gives a connect link. They go out
// by the channel by which the opened link came, as a delivery like every other,
// and whoever enters them is led on by that very request. Nothing that would
// prove it again is kept in the browser: a cookie would be one more credential
// that could be stolen, on pages that have none and need no defence of one. The
// price is a new passcode for a second try, a minute later at the earliest.
//
// Digits are few, so everything about them is bounded: tries, life, how often
// and how many a day, all under the invite's lock, and what robots may cause of
// it. They are compared by keyed hash, are wiped once their message has left, and
// only a page's own form sends them; nothing on a page counts as entering them.
//
// # Renewal and report
//
// An old link asks for a fresh one, which goes as a message to the recorded
// recipient and to nobody else. The old link itself stays out of use: who holds
// it has shown no more than that, while a resend by the product means the person
// and makes earlier messages work again. "This isn't for me" revokes the invite
// by an event of its own, "reported".
//
// # Minting
//
// A link is minted with no transaction open and stored and handed out in one.
// Presses of one invite that meet in a process share one mint. Across
// processes the invite's row decides: who locks it second sees the link that
// was handed out meanwhile and gives that one; its own is thrown away, which
// harms nobody, because it was shown to nobody.
//
// It must not know HTTP, and never returns an address or a link in an error.
package visit
