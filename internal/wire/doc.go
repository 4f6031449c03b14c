// Package wire is how this service speaks HTTP to its vendors.
//
// It owns the one kind of http.Client every outbound edge uses, and the answer
// to the only question that matters after a call went wrong: may the vendor
// have seen the request?
//
// Four decisions follow from that question.
//
//   - HTTP/1.1 only. A connection then carries one request at a time, so bytes
//     leaving a connection belong to exactly one request and can be counted
//     for it. HTTP/2 would interleave them and retry streams on its own.
//
//   - The bytes are counted in net.Conn.Write, above TLS and below net/http.
//     httptrace's WroteHeaders and WroteRequest fire when net/http has filled
//     its buffer, which for a small request is before the first system call;
//     they would call a request written that never left. They are not used.
//
//   - The same Write refuses once the lease of the work has run out. Between
//     "still mine" in the database and the system call a process may be frozen
//     for minutes; this is the last place that can notice. The check is made by
//     the monotonic and by the wall clock, because a suspended virtual machine
//     stops the first and an operator may step the second. What remains is a
//     freeze between this check and the system call itself.
//
//   - A connection that is closed, by whatever end of its process, takes with
//     it what the system had not sent yet, and bytes that nobody acknowledges
//     are given up after 15 s. Otherwise a network that comes back would deliver
//     a request long after its lease.
//
// It must not know any vendor, decide about retries, or log: URLs and bodies
// that pass through it carry bearer secrets.
package wire
