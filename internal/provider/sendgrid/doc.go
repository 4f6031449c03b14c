// Package sendgrid is the outbound edge to Twilio SendGrid: it sends one mail
// per call, classifies the answer, and reads SendGrid's signed events.
//
// The SDK builds the body (helpers/mail) and sends it (rest.Client with our
// http.Client). sendgrid.Client is never used: it keeps the body of the mail in
// the client, so two goroutines that share one swap their mails between
// recipients. A test sends under concurrency and compares.
//
// What the contract says and this package relies on: 202 means accepted, never
// delivered; no idempotency key exists; a message cannot be looked up, so what
// became of a lost answer shows only in the events, if they come.
//
// It must not retry, store anything, or decide what an event changes: it names
// our status and reason for it, and the domain's fold decides.
package sendgrid
