// Package invite is the domain: the words, the states and the rules of one
// invite, from request to connected account.
//
// It owns every status string, the state machine (Fold, a pure function), the
// validation of a request, the reasons for failures and the error codes. It
// must not know SQL, HTTP, providers or time other than what it is handed.
//
// # The state machine
//
// An invite has a Status (scheduled, pending, active, expired, failed, connected,
// revoked), a Progress (how far the person came) and deliveries, each with a
// DeliveryStatus. Everything that happens to it is an Event. Fold makes of a State
// and an Event the next State, and the Effects that must follow in the same
// transaction: a webhook, a suppression, the end of the links. Package store/ledger
// locks the invite, folds, and stores both; nothing else changes a status.
//
// Providers and people report late, twice and out of order. So no event is refused:
// each is on the timeline, and ranks decide which of two facts stands, so that the
// order in which they arrive does not matter. Connected and revoked are final; a
// resend or a renewal is the one way back from expired and failed. The diagram in
// docs/architecture.md is drawn from Fold.
//
// # How to add an event, a status or a reason
//
// An event is a constant in event.go and a case of Fold; its line on the timeline
// is in console/story. A status needs its row in the matrix of fold_test.go. A
// reason is an entry in reason.go with rank, title, advice and action, a value
// of ReasonCode in httpapi/openapi.yaml, and its translations in
// templates/console. go test ./internal/structure -update then writes the tables
// in docs/architecture.md and docs/reasons.md.
package invite
