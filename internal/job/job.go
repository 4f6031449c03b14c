// Package job names the background work that River carries out. Arguments
// hold ids and codes only: River keeps them readable in its tables.
package job

import "github.com/connectlink/connectlink/internal/invite"

// Publish is a webhook that an earlier version enqueued. None is enqueued any more.
type Publish struct {
	EventID  invite.EventID `json:"event_id"` // the webhook's id: the same in every try, so that receivers can drop copies
	InviteID invite.ID      `json:"invite_id" river:"unique"`
	Type     string         `json:"type" river:"unique"` // "invite.connected" and its like
	Version  int            `json:"version" river:"unique"`
	// Body is the posted event, sealed, with the invite at the time of the event; the
	// same bytes in each attempt. Jobs of earlier versions have none.
	Body []byte `json:"body,omitempty"`
}

// Kind implements river.JobArgs.
func (Publish) Kind() string { return "publish" }

// Confirm asks Pipedream whether an account that a webhook spoke of exists.
type Confirm struct {
	InviteID  invite.ID `json:"invite_id"`
	AccountID string    `json:"account_id"`
}

// Kind implements river.JobArgs.
func (Confirm) Kind() string { return "confirm" }

// Poll looks at Pipedream's accounts for invites whose link was handed out.
type Poll struct{}

// Kind implements river.JobArgs.
func (Poll) Kind() string { return "poll" }

// Expire ends overdue invites.
type Expire struct{}

// Kind implements river.JobArgs.
func (Expire) Kind() string { return "expire" }

// Receipts joins callbacks that came before what they speak of, and says of
// which messages no receipt came.
type Receipts struct{}

// Kind implements river.JobArgs.
func (Receipts) Kind() string { return "receipts" }

// FallBack tries the other channel where the first did not get through.
type FallBack struct{}

// Kind implements river.JobArgs.
func (FallBack) Kind() string { return "fall_back" }

// Watch checks connected accounts that are due at Pipedream.
type Watch struct{}

// Kind implements river.JobArgs.
func (Watch) Kind() string { return "watch" }

// Reconnect makes invites for accounts that became unhealthy.
type Reconnect struct{}

// Kind implements river.JobArgs.
func (Reconnect) Kind() string { return "reconnect" }

// Remind reminds of messages that found no reader.
type Remind struct{}

// Kind implements river.JobArgs.
func (Remind) Kind() string { return "remind" }

// RunBulk works on the acts of staff on many invites.
type RunBulk struct{}

// Kind implements river.JobArgs.
func (RunBulk) Kind() string { return "run_bulk" }

// EraseAgain sweeps up what came about erased invites while they were erased.
type EraseAgain struct {
	Invites []invite.ID `json:"invites"`
}

// Kind implements river.JobArgs.
func (EraseAgain) Kind() string { return "erase_again" }

// Redact takes words of texts from their provider once invites have ended.
type Redact struct{}

// Kind implements river.JobArgs.
func (Redact) Kind() string { return "redact" }

// HashUsers adds the keyed hash of the user to invites that lack the present key's.
type HashUsers struct{}

// Kind implements river.JobArgs.
func (HashUsers) Kind() string { return "hash_users" }

// AdoptEvents moves webhooks that an earlier version enqueued to where they are run.
type AdoptEvents struct{}

// Kind implements river.JobArgs.
func (AdoptEvents) Kind() string { return "adopt_events" }

// Warn tells of sending limits that come near or are reached.
type Warn struct{}

// Kind implements river.JobArgs.
func (Warn) Kind() string { return "warn" }

// ChainAudit appends the latest entries of the audit log to its hash chain.
type ChainAudit struct{}

// Kind implements river.JobArgs.
func (ChainAudit) Kind() string { return "chain_audit" }

// JudgeTraffic pauses countries and ranges of numbers whose text messages people do not
// visit.
type JudgeTraffic struct{}

// Kind implements river.JobArgs.
func (JudgeTraffic) Kind() string { return "judge_traffic" }

// Survey counts what happened, and raises alerts from thresholds.
type Survey struct{}

// Kind implements river.JobArgs.
func (Survey) Kind() string { return "survey" }

// Retire deletes invites that ended long enough ago.
type Retire struct{}

// Kind implements river.JobArgs.
func (Retire) Kind() string { return "retire" }

// WarnKeys warns of API keys that end soon.
type WarnKeys struct{}

// Kind implements river.JobArgs.
func (WarnKeys) Kind() string { return "warn_keys" }

// Tidy removes records of limited lifetime: callbacks, guards, idempotency records.
type Tidy struct{}

// Kind implements river.JobArgs.
func (Tidy) Kind() string { return "tidy" }
