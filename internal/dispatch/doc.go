// Package dispatch sends each delivery once: it claims due deliveries, has
// links minted if needed, calls providers, and reconciles calls whose answer
// was lost.
//
// # Guarantees
//
// Once accepted, a message is never lost: it is sent, or the invite has the
// reason why it could not be. A message whose answer was lost is sent a second
// time only after proof that the provider did not take the first. For text
// messages the proof is Twilio's own list of messages. For email there is no
// list: the absence of a report is taken as proof only under the conditions of
// "Lost answers", and a report that is delayed at SendGrid while all others come
// on time would defeat it. Without proof the message is held as "unknown", for a
// person or the project's policy to decide; with SMTP that is always so.
//
// # How a delivery is worked on
//
// The delivery's row is queue and truth in one (package store/queue has leases
// and fences). One claimed delivery goes through these steps, each of which may
// be the last before its process dies:
//
//	settled already         take it off the queue
//	an attempt is in doubt  reconcile it: never send again before
//	no link where needed    mint one
//	too little time left    give up, with a reason
//	else                    record an attempt, call, record the result
//
// A process that accepts invites and dispatches stores a new delivery with a lease
// of its own (Reserve) and begins without a claim: a commit, a read and a wake-up
// less for each. It does so while it has room and no delivery of the lane waits in
// the queue. Otherwise, and in all other processes, a claim takes the delivery.
//
// The attempt is committed before the call, by a statement that is at the same
// time the fence (it names lease token and owner) and the extension of the lease
// past the end of the call. The call carries the local end of that lease, counted
// from before the statement was sent; the socket refuses bytes from then on. So
// of a frozen process nothing can leave that another one does not know about.
//
// # What a result changes
//
// A result is written on its attempt by any process that has it. An acceptance
// is a fact, and is folded into the invite's state whenever it comes; every
// change of the delivery's place in the queue (retry, give up, hold) is written
// by the lease's owner only. While the database is away, results wait in memory
// and are written when it is back.
//
// Attempts and results are written in groups, one commit each: a group is all
// items that wait when the previous commit has returned. There is no
// lingering.
//
// # Lost answers
//
// A sender that can look a message up (Twilio) is asked; "not found" is believed
// only once its settle time has passed since the last moment at which the call
// could have been written. A sender that reports by events (SendGrid with a
// working webhook) settles the delivery by an event. The absence of one proves
// nothing while our own endpoint may have missed posts, since SendGrid repeats a
// post for up to 24 h: every answer but 2xx, every process that died while it took
// callbacks, every time without such a process and every report that came late is
// recorded as a gap (package store/queue). The absence is believed only if there
// was no gap since the call, the settle time is over, at least three later
// attempts over two fifths of it were reported on, and no attempt of that time
// lacks a report. Otherwise the delivery waits for the settle time after the gap
// and is then held.
// While a provider that can be asked is away, the question waits with the invite,
// to its end. Everything else is held.
//
// # Accounts and lanes
//
// Each project, channel and mode is a lane; claiming goes round the lanes and
// takes a bounded number of each, so that one tenant's import does not delay the
// others. A lane with few deliveries is claimed and committed past those with
// many, by statements of its own, and while it has work theirs pause for as long
// as they took: measured, that halves the others' wait beside an import of
// 10,000, and slows the import by a quarter meanwhile. A provider account has a
// breaker and, if configured, a rate limit, both in a row that all processes
// share. While a breaker is open its lanes are not claimed but for one probe;
// closing it makes the deliveries due that waited for it.
//
// The package must not decide what an event changes (invite.Fold does), and it
// never talks to the network while a transaction is open. No request carries an
// Idempotency-Key header: net/http would repeat such a POST by itself.
package dispatch
