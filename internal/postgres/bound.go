package postgres

// KeyBound makes the statements of a transaction use their keys under any statistics: a
// queue that was empty when it was last analyzed looks small enough for a full scan. The
// plans are then the same for all parameters and made once per connection.
const KeyBound = `SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; ` +
	`SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`
