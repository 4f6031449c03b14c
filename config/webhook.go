package config

import "strings"

// AllEvents stands for all types of events in a webhook's list.
const AllEvents = "all"

// DefaultEvents are the types that a webhook receives unless it lists others. Receivers
// of the first releases know these only, but for invite.report_withdrawn, without which
// they would take an invite for revoked that goes on.
func DefaultEvents() []string {
	return []string{"invite.connected", "invite.connect_failed", "invite.delivery_failed", "invite.expired", "invite.reported", "invite.report_withdrawn"}
}

// EventTypes are the types of events that a webhook can list: those of package invite,
// which this package must not know. A test compares them.
func EventTypes() []string {
	return []string{
		"invite.created", "invite.sent", "invite.delivered", "invite.deferred", "invite.delivery_failed", "invite.complained", "invite.no_receipt",
		"invite.opened", "invite.continued", "invite.connect_failed", "invite.connected", "invite.expired", "invite.revoked",
		"invite.resent", "invite.renewed", "invite.extended", "invite.reported", "invite.report_withdrawn", "invite.replaced", "connection.unhealthy", "connection.recovered",
		"recipient.opted_out", "recipient.opted_in", "webhook_endpoint.disabled", "alert.raised", "alert.resolved",
	}
}

func webhookEventsSetting() option[Project] {
	return listSetting("webhook.events", "CONNECTLINK_WEBHOOK_EVENTS", strings.Join(DefaultEvents(), ","),
		"Types of events that webhook.url receives, or `all`. The types are in docs/webhooks.md.",
		func(t *Project) *[]string { return &ensureWebhook(t).Events }, oneOf(append(EventTypes(), AllEvents)...)).once()
}
