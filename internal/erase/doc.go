// Package erase owns the use cases about what is held of people: showing it to
// them, erasing it when they ask, and letting go of it when its time is over,
// here and at providers.
//
// # Erasing
//
// A person is an external user of one project and mode. Erasing ends what is
// open, through the ledger like every other end, and takes every sealed word in
// the same transaction: content, names, links, codes, providers' words and
// callbacks. What stays says that there was an invite, when, for which app and
// what became of it; in place of the user's id stands a keyed hash, under which
// only this service's keyset can tell that somebody was erased before. A block
// stays too, by its hash alone: erasing must not make us write again to whom
// asked us not to.
//
// The transaction locks invites, then deliveries, like all others; so a call to
// a provider that is under way ends as it would have, and what it learns is
// recorded without its words (store/ledger, store/queue). What came meanwhile
// by ways that take no lock is swept up by a job some minutes later.
//
// # Providers
//
// Twilio keeps what it sent for over a year. Once an invite has ended and its
// texts are no longer on their way, their words are redacted there; of an erased
// person the record is deleted. SendGrid offers neither.
//
// # Retention
//
// Ended invites are deleted whole, in small batches, once they are older than
// their project keeps them. Blocks, keys and the audit log are not theirs.
//
// The package must not decide who may ask: the inbound edges do.
package erase
