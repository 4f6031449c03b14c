package invite

import (
	"slices"
	"strings"
)

// PublicType names an event that products are told of, "invite.connected". It is
// a contract with callers; EventType is that of the timeline, which has more.
type PublicType string

// EndpointDisabled is the event of a webhook endpoint that failed for days or wants no
// more events. It is about no invite.
const EndpointDisabled PublicType = "webhook_endpoint.disabled"

// InviteCreated is the event of an invite's first moment. No effect of a fold is it: the
// statement that stores the invite stores it too.
const InviteCreated PublicType = "invite.created"

// AlertRaised is the event of a condition of the project that staff should look at, such
// as a sending limit that is nearly reached. It is about no invite.
const AlertRaised PublicType = "alert.raised"

// AlertResolved is the event of the end of a condition that AlertRaised told of, where it
// has an end that the service sees. It is about no invite.
const AlertResolved PublicType = "alert.resolved"

// publishPrefix begins the effects that are public events; the type follows.
const publishPrefix = "publish "

// Public returns the public event that an effect is, if it is one.
func (e Effect) Public() (PublicType, bool) {
	name, ok := strings.CutPrefix(string(e), publishPrefix)
	return PublicType(name), ok
}

// PublicTypes are the types of public events, in the order of an invite's life.
func PublicTypes() []PublicType {
	out := []PublicType{InviteCreated}
	for _, e := range []Effect{
		EffectPublishSent, EffectPublishDelivered, EffectPublishDeferred, EffectPublishDeliveryFailed, EffectPublishComplained,
		EffectPublishNoReceipt, EffectPublishOpened, EffectPublishContinued, EffectPublishConnectFailed, EffectPublishConnected,
		EffectPublishExpired, EffectPublishRevoked, EffectPublishResent, EffectPublishRenewed, EffectPublishExtended, EffectPublishReported,
		EffectPublishReportWithdrawn,
		EffectPublishReplaced, EffectPublishUnhealthy, EffectPublishRecovered, EffectPublishOptedOut, EffectPublishOptedIn,
	} {
		name, _ := e.Public()
		out = append(out, name)
	}
	return append(out, EndpointDisabled, AlertRaised, AlertResolved)
}

// IsPublic reports whether a name is that of a public event.
func IsPublic(name string) bool { return slices.Contains(PublicTypes(), PublicType(name)) }
