// Package visit is what recipients do with an invite link: open it, go on to
// Pipedream, come back.
//
// # What changes what
//
// Mail scanners open links, run their scripts and submit forms. So opening a
// page changes nothing but a short fetch log; a person counts as a visitor when
// the page's beacon came, which needs an interaction with the page; and only a
// press of the button hands out a connect link. A press is idempotent for a
// minute: the second tap of a double tap gets the same link. Later presses get
// a new link, because it is unknown whether a token was used.
//
// A press that looks like a bot's (see Evidence) is answered with the page,
// which asks for a second press; that press gets a link, so that no person is
// ever locked out. It is recorded with its class and its signs, moves no
// progress, and is capped. A link that a bot got is not given to a person: they
// get their own. A program that clicks like a person is indistinguishable from
// one, and uses nothing up either.
//
// # Passcodes
//
// An invite may require a passcode before it gives a connect link. The six
// digits go out by the channel of the opened link, as a delivery like every
// other, and the request with the right digits continues to the connect link.
// The browser keeps no proof: a cookie would be one more credential that could
// be stolen, on pages that have none. The price is a new passcode for a second
// attempt, a minute later at the earliest.
//
// Digits are few, so everything about them is bounded: tries, life, how often
// and how many a day, all under the invite's lock, and what robots may cause of
// it. They are compared by keyed hash, are wiped once their message has left, and
// only a page's own form sends them; nothing on a page counts as entering them.
//
// # Renewal and report
//
// A request for a new link from an old one sends a message to the recorded
// recipient only. The old link stays invalid: its holder has proved no more than
// possession, while a resend by the product means the person and makes earlier
// messages work again. "This isn't for me" revokes the invite by an event of its
// own, "reported".
//
// # Robots
//
// Two patterns and what a user agent says of itself (see signs) tell programs that
// name themselves. Of the 2,118 user agents that the list crawler-user-agents 1.60
// records they tell 96 in 100; x-way/crawlerdetect 0.2.24, a library of 1,500 patterns,
// tells 85, takes a millisecond for one, and knows none of the mail scanners, which
// open most of the links here that no person opens.
//
// # Minting
//
// A link is minted with no transaction open and stored and handed out in one.
// Concurrent presses of one invite in a process share one mint. Across
// processes the lock on the invite's row decides: the second process sees the
// link that was handed out and gives that one. It discards its own link,
// which was never shown.
//
// It must not know HTTP, and never returns an address or a link in an error.
package visit
