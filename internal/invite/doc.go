// Package invite is the domain: the words, the states and the rules of one
// invite, from request to connected account.
//
// It owns every status string, the state machine (Fold, a pure function), the
// validation of a request, the reasons for failures and the error codes. It
// must not know SQL, HTTP, providers or time other than what it is handed.
package invite
