// Package httpapi is the JSON API under /v1, its OpenAPI document and
// documentation pages, the health checks, and the addresses that providers
// call back.
//
// It owns the wire: decoding (package strictjson), the shape of lists, events
// and deliveries, headers, scopes. Handlers are thin: they read, call one use
// case or one read, and write. They must not decide anything about invites,
// open transactions, or log.
//
// openapi.yaml is the contract, written by hand. Tests hold the routes to it
// in both directions and check every request and answer of the test suite
// against it, so neither can be changed alone.
//
// What the API promises for later (batches, the event feed, …) is
// answered not_yet: a caller hears that it is missing instead
// of a 404 that looks like a typing mistake.
//
// # How to add an operation
//
// Describe it in openapi.yaml, with its scope (x-scope), an example and every
// answer. Add a line to routes.go and a handler that decodes, calls one use case
// and answers. Add its valid request to the scenarios of the contract test and to
// the fuzzer (internal/app/fuzz_document_test.go); both fail without it. A new
// error code is a constant in package invite, a line in web's table, an advice
// in docs.go and a value of ErrorCode in the document.
package httpapi
