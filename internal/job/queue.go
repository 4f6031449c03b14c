package job

// The queues of background work. Each has workers of its own in every process,
// so that one kind of work never waits for another kind.
const (
	// QueueConfirm holds confirmations of connected accounts: people wait for them.
	QueueConfirm = "confirm"
	// QueuePeriodic holds the runs that keep time: expire, poll, reports,
	// fallback, reminders, redaction, retention.
	QueuePeriodic = "periodic"
	// QueueEvents holds webhooks that an earlier version enqueued.
	QueueEvents = "events"
	// EventsPrefix begins the names of the queues that projects had for theirs.
	EventsPrefix = QueueEvents + "_"
)
