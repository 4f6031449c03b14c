package ledger

import (
	"cmp"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// columns holds a batch of New turned on its side: one array per parameter of insertInvites.
type columns struct {
	id                                                        []invite.ID
	project, environment, status, channel, linkType, by, user []string
	livemode                                                  []bool
	slug, name, logo, auth, oauth                             []string
	content, sealedUser                                       [][]byte
	expiresIn                                                 []int32
	validFor                                                  []*int32
	createdBy                                                 []invite.KeyID
	linkID                                                    []invite.LinkID
	linkURL, tokenDigest, webhookDigest                       [][]byte
	granted                                                   []*int32
	left                                                      []*float64
	raw                                                       []*string
	deliveryID                                                []invite.DeliveryID
	kind, lane                                                []*string
	leaseOwner                                                []*int64
	leaseLasts                                                []*float64
	codeID                                                    [][16]byte
	codeDigest, code                                          [][]byte
	eventID                                                   []invite.EventID
	eventData                                                 []string
	actor, actorID                                            []string
	idemRoute                                                 []*string
	idemKey, idemMAC                                          [][]byte
	idemStatus                                                []*int32
	fallbackChannel, fallbackAfter                            []string
	fallbackDelay                                             []int32
	sendAt                                                    []*time.Time
	verify                                                    []string
	reminders                                                 []int32
	inviteKind, reconnectAccount                              []string
	reconnectOf                                               []invite.ID
	termHash, userHash                                        []seal.Hash
	termID                                                    []invite.ID
	publicID                                                  []invite.EventID
	publicBody                                                [][]byte
	trace                                                     [][]byte
	uses                                                      useColumns
}

func (c *columns) grow(n int) {
	c.id = make([]invite.ID, 0, n)
	c.content = make([][]byte, 0, n)
	c.termHash = make([]seal.Hash, 0, 6*n)
	c.termID = make([]invite.ID, 0, 6*n)
}

func (c *columns) add(r New, eventData []byte) error {
	c.id = append(c.id, r.ID)
	c.project = append(c.project, r.Project)
	c.livemode = append(c.livemode, r.Live)
	c.environment = append(c.environment, r.Environment)
	c.status = append(c.status, string(r.Status))
	c.channel = append(c.channel, string(r.Channel))
	c.linkType = append(c.linkType, string(r.LinkType))
	c.by = append(c.by, string(r.InitiatedBy))
	c.user = append(c.user, r.ExternalUserID)
	c.userHash = append(c.userHash, r.UserHash)
	c.sealedUser = append(c.sealedUser, r.SealedUserID)
	c.slug = append(c.slug, r.App.Slug)
	c.name = append(c.name, r.App.Name)
	c.logo = append(c.logo, r.App.LogoURL)
	c.auth = append(c.auth, r.App.AuthType)
	c.oauth = append(c.oauth, r.OAuthAppID)
	c.content = append(c.content, r.Content)
	c.expiresIn = append(c.expiresIn, seconds(r.ExpiresIn))
	c.validFor = append(c.validFor, optional(r.ValidFor > 0, seconds(r.ValidFor)))
	c.createdBy = append(c.createdBy, r.CreatedBy)

	link := r.Link
	has := link != nil
	if !has {
		link = &Link{}
	}
	c.linkID = append(c.linkID, link.ID)
	c.linkURL = append(c.linkURL, link.URL)
	c.tokenDigest = append(c.tokenDigest, link.TokenDigest)
	c.webhookDigest = append(c.webhookDigest, link.WebhookDigest)
	c.granted = append(c.granted, optional(has, seconds(link.Granted)))
	c.left = append(c.left, optional(has, link.Left.Seconds()))
	c.raw = append(c.raw, optional(has, link.ExpiresAtRaw))

	d := r.Delivery
	has = d != nil
	if !has {
		d = &Delivery{}
	}
	c.deliveryID = append(c.deliveryID, d.ID)
	c.kind = append(c.kind, optional(has, d.Kind))
	c.lane = append(c.lane, optional(has, d.Lane.String()))
	lease := d.Lease
	if has = lease != nil; !has {
		lease = &NewLease{}
	}
	c.leaseOwner = append(c.leaseOwner, optional(has, lease.Owner))
	c.leaseLasts = append(c.leaseLasts, optional(has, lease.Lasts.Seconds()))

	c.codeID = append(c.codeID, r.Code.ID)
	c.codeDigest = append(c.codeDigest, r.Code.Digest)
	c.code = append(c.code, r.Code.Sealed)
	c.eventID = append(c.eventID, r.Event.ID)
	c.eventData = append(c.eventData, string(eventData))
	c.actor = append(c.actor, string(cmp.Or(r.Event.Actor.Kind, invite.ActorKey)))
	c.actorID = append(c.actorID, r.Event.Actor.ID)

	public := r.Public
	if public == nil {
		public = &NewPublic{}
	}
	c.publicID = append(c.publicID, public.ID)
	c.publicBody = append(c.publicBody, public.Body)

	idem := r.Idempotency
	has = idem != nil
	if !has {
		idem = &Idempotency{Outcome: Created}
	}
	number, err := idem.Outcome.number()
	if err != nil {
		return err
	}
	c.idemRoute = append(c.idemRoute, optional(has, idem.Route))
	c.idemKey = append(c.idemKey, idem.KeyHash)
	c.idemMAC = append(c.idemMAC, idem.BodyMAC)
	c.idemStatus = append(c.idemStatus, optional(has, number))

	c.fallbackChannel = append(c.fallbackChannel, string(r.Fallback.Channel))
	c.fallbackAfter = append(c.fallbackAfter, string(r.Fallback.After))
	c.fallbackDelay = append(c.fallbackDelay, seconds(r.Fallback.Delay))
	c.sendAt = append(c.sendAt, orNull(r.SendAt))
	c.verify = append(c.verify, string(cmp.Or(r.Verify, invite.VerifyNone)))
	c.reminders = append(c.reminders, int32(r.Reminders))
	c.inviteKind = append(c.inviteKind, string(cmp.Or(r.Kind, invite.PurposeInvite)))
	c.reconnectAccount = append(c.reconnectAccount, r.ReconnectAccount)
	c.reconnectOf = append(c.reconnectOf, r.ReconnectOf)

	for _, h := range r.Terms {
		c.termHash = append(c.termHash, h)
		c.termID = append(c.termID, r.ID)
	}
	c.trace = append(c.trace, r.Trace)
	c.uses.add(r.ID, r.Uses)
	return nil
}

// args stands in the order of insertInvites' parameters.
func (c *columns) args() []any {
	before := []any{
		c.id, c.project, c.livemode, c.environment, c.status, c.channel, c.linkType, c.by, c.user,
		c.slug, c.name, c.logo, c.auth, c.oauth, c.content, c.expiresIn, c.validFor, c.createdBy,
		c.linkID, c.linkURL, c.tokenDigest, c.webhookDigest, c.granted, c.left, c.raw,
		c.deliveryID, c.kind, c.lane,
		c.codeID, c.codeDigest, c.code,
		c.eventID, c.eventData, c.actorID,
		c.idemRoute, c.idemKey, c.idemMAC, c.idemStatus,
		c.fallbackChannel, c.fallbackAfter, c.fallbackDelay, c.sendAt, c.verify,
		c.termHash, c.termID, c.actor, c.reminders, c.userHash, c.sealedUser, c.leaseOwner, c.leaseLasts,
		c.inviteKind, c.reconnectAccount, c.reconnectOf,
		c.publicID, c.publicBody,
	}
	return append(append(before, c.uses.args()...), c.trace)
}

func seconds(d time.Duration) int32 { return int32(d / time.Second) }

// optional is v, or SQL NULL when there is none.
func optional[T any](has bool, v T) *T {
	if !has {
		return nil
	}
	return &v
}
