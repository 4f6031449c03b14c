package job

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

// The queues of background work. Each has workers of its own in every process,
// so that one kind of work never waits for another kind.
const (
	// QueueConfirm holds confirmations of connected accounts: people wait for them.
	QueueConfirm = "confirm"
	// QueuePeriodic holds the runs that keep time: expire, poll, reports,
	// fallback, reminders, redaction, retention.
	QueuePeriodic = "periodic"
	// QueueEvents holds webhooks of projects that this configuration does not
	// know, and those that were enqueued before each project had its own queue.
	QueueEvents = "events"
)

// eventsPrefix begins the name of a project's queue of webhooks.
const eventsPrefix = QueueEvents + "_"

// plainName is what River takes as a queue's name.
var plainName = regexp.MustCompile(`^[a-z0-9]+(?:[_-][a-z0-9]+)*$`)

// EventsQueue returns the queue of the webhooks of a project. A project whose id
// River refuses as a name gets a digest of the id.
func EventsQueue(project string) string {
	if plainName.MatchString(project) {
		return eventsPrefix + project
	}
	sum := sha256.Sum256([]byte(project))
	return eventsPrefix + "x" + hex.EncodeToString(sum[:8])
}
