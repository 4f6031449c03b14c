package dispatch

// Point names a place in the work on a delivery at which a process may die. It
// is what Params.Passing is told: package chaos kills its own processes there.
// Nothing of a configuration reaches it, and internal/structure sees to it that
// the program never sets it.
type Point string

// The places, in the order in which a delivery meets them.
const (
	PointClaimed          Point = "claimed"           // leases are taken, no work has begun
	PointStored           Point = "stored"            // a delivery was stored with a lease, no work has begun
	PointMinted           Point = "minted"            // a token was made and is stored nowhere
	PointLinkStored       Point = "link_stored"       // the link is committed
	PointAttemptCommitted Point = "attempt_committed" // both are committed, the call has not begun
	PointResultWritten    Point = "result_written"    // what came of it is written, not committed
	PointResultCommitted  Point = "result_committed"  // it is committed, the lease is not given back in memory
	PointLookedUp         Point = "looked_up"         // the provider was asked about a lost answer, nothing is written
	PointGivingUp         Point = "giving_up"         // the end is decided, nothing is written
	PointRenewed          Point = "renewed"           // leases of work under way were prolonged
)

// Points are those that this package passes.
func Points() []Point {
	return []Point{
		PointClaimed, PointStored, PointMinted, PointLinkStored, PointAttemptCommitted,
		PointResultWritten, PointResultCommitted, PointLookedUp, PointGivingUp, PointRenewed,
	}
}
