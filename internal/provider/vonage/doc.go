// Package vonage is the outbound edge to Vonage's Messages API for text messages: it
// sends one text per call, classes the answer, redacts texts, and reads Vonage's
// signed status and inbound webhooks.
//
// Facts, and where they are published:
//
//   - POST /v1/messages with the API key and secret by Basic authentication answers
//     202 with message_uuid: accepted, not delivered. Errors are RFC 7807 problems
//     whose type ends in the code
//     (https://developer.vonage.com/en/api/messages, https://developer.vonage.com/en/api-errors).
//   - client_ref, up to 100 characters, is in every status of the message: our ids
//     travel there. Numbers are written without +.
//   - Statuses for SMS are submitted, delivered, rejected and undeliverable; error.title
//     holds the code (https://developer.vonage.com/en/messages/concepts/messages-status-callbacks,
//     https://developer.vonage.com/en/api-errors/messages).
//   - A webhook carries a JWT, HS256 with the account's signature secret, in its
//     Authorization header; payload_hash is the SHA-256 of the body
//     (https://developer.vonage.com/en/getting-started/concepts/webhooks). The URL is not
//     signed, so no id is taken from it. Vonage may post unsigned after a fault of its
//     own: such a post is refused like a forged one.
//   - A text to a number that said STOP is accepted, and reported as rejected with 1240
//     (https://developer.vonage.com/en/opt-out-assist/guides/messaging-opted-out-numbers).
//   - No idempotency key exists, and a message cannot be looked up: what became of a
//     lost answer shows only in the statuses.
//
// It must not retry, store anything, or decide what a status changes.
package vonage
