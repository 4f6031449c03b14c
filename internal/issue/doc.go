// Package issue makes invites and changes their course on request: create,
// resend, correct, revoke.
//
// An accepted request is durable before its caller hears of it: invite, link,
// delivery, code, event and Idempotency-Key stand in one statement and one
// commit. Minting comes before it, with no transaction open; when Pipedream
// cannot mint now, the invite is stored without a link and the link follows.
//
// It must not send anything: it puts deliveries into the queue and wakes
// dispatch.
package issue
