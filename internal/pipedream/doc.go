// Package pipedream is the outbound edge to Pipedream Connect: it mints connect
// tokens, reads apps, OAuth clients and accounts, and reads Pipedream's
// connection webhooks.
//
// There is no official Go SDK. What this client does beyond calling:
//
//   - It asks for narrow scopes only. The OAuth client belongs to the workspace,
//     so a stolen access token with the default scope would reach every project.
//   - It keeps the access token until two minutes before its end and fetches it
//     once for everybody who waits; the fetch belongs to none of them, so one
//     caller's cancellation fails nobody else. A 401 drops the token and tries
//     once more.
//   - It retries what may pass (408, 429, 5xx, network), at most three tries and
//     never beyond the caller's deadline. Minting twice is harmless: a token
//     nobody was given lapses.
//   - It breaks the circuit when Pipedream is down, so that a create is
//     refused at once instead of waiting.
//
// It must not decide what a webhook means: connection webhooks are unsigned, and
// only an account read back from the API proves a connection.
package pipedream
