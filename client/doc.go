// Package client calls the API of Connect Link delivery.
//
// A [Client] creates, reads, resends, extends and revokes invites. It repeats requests
// that met a temporary failure, always with the same idempotency key, and
// honours Retry-After. Failures that the service reports are an [*Error];
// compare its code with [errors.Is]:
//
//	if errors.Is(err, client.ErrorCodeRecipientSuppressed) { … }
//
// The types of requests and responses in api.gen.go are generated from the
// service's OpenAPI document. Package webhook verifies the events that the
// service posts to a product.
package client
