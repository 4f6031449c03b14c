package issue

import (
	"context"
	"strings"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// namedInvites are the invites that a line names, or why there are none.
type namedInvites struct {
	invites []invite.ID
	fault   LineCode
}

func (s *Service) findCorrected(ctx context.Context, p access.Principal, lines []correction) ([]namedInvites, error) {
	out := make([]namedInvites, len(lines))
	byID, byUser := map[invite.ID][]int{}, map[string][]int{}
	var ids []invite.ID
	var users []string
	for i, l := range lines {
		out[i].fault = LineUnknown
		if id, err := invite.Parse[invite.ID](strings.ToLower(l.who)); err == nil {
			if byID[id] == nil {
				ids = append(ids, id)
			}
			byID[id] = append(byID[id], i)
			continue
		}
		if byUser[l.who] == nil {
			users = append(users, l.who)
		}
		byUser[l.who] = append(byUser[l.who], i)
	}
	for len(ids) > 0 {
		part := ids[:min(plannedAtOnce, len(ids))]
		ids = ids[len(part):]
		list, err := find.ListByID(ctx, s.p.DB, p.Place, part)
		if err != nil {
			return nil, err
		}
		for _, inv := range list {
			for _, i := range byID[inv.ID] {
				out[i] = namedInvites{invites: []invite.ID{inv.ID}}
			}
		}
	}
	var addresses []string
	for len(users) > 0 {
		part := users[:min(usersAtOnce, len(users))]
		users = users[len(part):]
		if err := s.findOfUsers(ctx, p, part, byUser, out); err != nil {
			return nil, err
		}
		for _, u := range part {
			if out[byUser[u][0]].fault == LineUnknown {
				addresses = append(addresses, u)
			}
		}
	}
	return out, s.findOfAddresses(ctx, p, addresses, byUser, out)
}

// findOfUsers fills in the invites of users whose message did not arrive.
func (s *Service) findOfUsers(ctx context.Context, p access.Principal, users []string, lines map[string][]int, out []namedInvites) error {
	ids, err := find.ListUser(ctx, s.p.DB, find.NewUser(s.p.Box, p.Place, users...), invitesOfUsers+1)
	if err != nil {
		return err
	}
	if len(ids) > invitesOfUsers {
		for _, u := range users {
			for _, i := range lines[u] {
				out[i].fault = LineMany
			}
		}
		return nil
	}
	for len(ids) > 0 {
		part := ids[:min(plannedAtOnce, len(ids))]
		ids = ids[len(part):]
		list, err := find.ListByID(ctx, s.p.DB, p.Place, part)
		if err != nil {
			return err
		}
		for _, inv := range list {
			user, err := inv.OpenUser(s.p.Box, inv.ID)
			if err != nil {
				continue // its line finds nothing
			}
			for _, i := range lines[user] {
				out[i].add(inv)
			}
		}
	}
	return nil
}

// findOfAddresses fills in the invites to old addresses whose message did not arrive.
func (s *Service) findOfAddresses(ctx context.Context, p access.Principal, addresses []string, lines map[string][]int, out []namedInvites) error {
	for len(addresses) > 0 {
		part := addresses[:min(usersAtOnce, len(addresses))]
		addresses = addresses[len(part):]
		var hashes []seal.Hash
		of := map[string]string{} // the address of a hash
		for _, a := range part {
			for _, h := range ledger.AddressTerms(s.p.Box, p.Place, a) {
				hashes, of[string(h)] = append(hashes, h), a
			}
		}
		found, err := find.ListByTerm(ctx, s.p.DB, hashes, invitesOfAddress+1)
		if err != nil {
			return err
		}
		for hash, ids := range found {
			if len(ids) > invitesOfAddress {
				for _, i := range lines[of[hash]] {
					out[i] = namedInvites{fault: LineMany}
				}
				continue
			}
			list, err := find.ListByID(ctx, s.p.DB, p.Place, ids)
			if err != nil {
				return err
			}
			for _, inv := range list {
				for _, i := range lines[of[hash]] {
					out[i].add(inv)
				}
			}
		}
	}
	return nil
}

// add adds an invite if its message did not arrive.
func (n *namedInvites) add(inv find.Invite) {
	switch {
	case n.fault == LineMany:
	case didNotArrive(inv):
		n.invites, n.fault = append(n.invites, inv.ID), ""
	case n.fault == LineUnknown:
		n.fault = LineArrived
	}
}

// didNotArrive reports whether the latest message of an invite that can be resent did not
// arrive.
func didNotArrive(inv find.Invite) bool {
	return resendable(inv.ID, inv.Status) == nil && inv.DeliveryStatus != nil && invite.DeliveryStatus(*inv.DeliveryStatus).DidNotArrive()
}
