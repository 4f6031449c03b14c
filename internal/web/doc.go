// Package web is what Echo needs once, for every inbound edge: the server with
// its time limits and caps, the id of a request, the one log line and the
// metrics of a request, recovery from panics, the client's address, security
// headers, and the one writer of error answers.
//
// It owns the outside view of a failure: one table from error code to HTTP
// status (problem.go), RFC 9457 documents, and the decision between shown and
// hidden causes. It must not know routes, use cases or pages; an edge with
// pages passes its own rendering of the same Problem (ErrorPages).
//
// Streams (stream.go) answers with server-sent events: bounded in number, with
// signs of life, a time for each write, and an end after which the client comes
// back and proves again that it may.
//
// # Logging
//
// One line per request, when it is over: method, route pattern, status,
// duration, bytes, request id, principal, project, error code; for failures on our side
// also the cause. Never the path or the query: they carry invite codes and
// callback secrets. Never the client's address or user agent: they are
// personal and only classed, by the edges that need them.
//
// # Echo
//
// Echo v4 is confined to this row and the row above it, so that the next major
// version of it touches nothing else. For the same reason requests reach use
// cases as plain contexts; RequestID works on those.
package web
