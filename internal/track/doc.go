// Package track folds what providers and Pipedream say into the state of
// invites: connection webhooks, delivery receipts, polls of Pipedream's
// accounts, and the passing of time.
//
// # Trust
//
// Providers' callbacks are signed, and are verified over the raw bytes before
// anything is read of them. Package provider gives them one form, so that all take
// one path: verify, guard against copies, match to attempts, store, fold.
// Pipedream's connection webhook is not signed: an unguessable path and the connect token's hash say that it is not
// from just anybody, and still it is only a hint. An invite becomes connected
// only when the account was read from Pipedream's API and belongs to the right
// user and app, and was made or renewed since the link left our hands.
//
// # How copies and disorder are harmless
//
// A callback is stored (sealed) and folded in one transaction behind a guard
// row, so a copy changes nothing and a crash loses nothing: no 2xx goes out
// before the commit. Which of two facts stands is decided by invite.Fold, by
// rank and by the provider's clock, never by arrival. A callback that overtakes
// the answer to our own call settles the attempt by itself.
//
// It must not talk to the network while a transaction is open, hold a
// connection during a call, or send anything.
package track
