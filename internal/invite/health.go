package invite

// Health is how a connected account does at Pipedream.
type Health string

const (
	HealthUnknown Health = "unknown" // not asked yet
	Healthy       Health = "healthy"
	Unhealthy     Health = "unhealthy"
)

// HealthReason is why an account is unhealthy.
type HealthReason string

const (
	AccountUnhealthy HealthReason = "account_unhealthy" // Pipedream says that it does not work
	AccountDead      HealthReason = "account_dead"      // … and that it will not recover
	AccountDeleted   HealthReason = "account_deleted"   // Pipedream has no such account any more
)
