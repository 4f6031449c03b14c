// Package twilio is the outbound edge to Twilio's Messages: it sends one text
// per call, classifies the answer, looks up a text whose answer was lost,
// erases bodies, and reads Twilio's signed status callbacks.
//
// The SDK gives parameters, types, error bodies and the signature check. Its
// client is not used: it knows no context, no base URL, and drops the headers
// of errors. A client of our own, made per call, has them; see call.
//
// Facts of the contract that this package relies on: 201 means accepted, never
// delivered; no idempotency key exists; the list of messages by recipient shows
// the accepted ones; 429 was never processed.
//
// It must not retry, store anything, or decide what a callback changes.
package twilio
