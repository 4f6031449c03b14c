// Package invite is the domain: the words, the states and the rules of one
// invite, from request to connected account.
//
// It owns every status string, the state machine (Fold, a pure function), the
// validation of a request, the reasons for failures and the error codes. It
// must not know SQL, HTTP, providers or time other than what it is handed.
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
