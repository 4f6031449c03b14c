// Command tour invites a test recipient who connects an account, waits for it, and
// reads the message that was sent. It needs a service in test mode, for example
// `connectlink dev`:
//
//	CONNECTLINK_API_URL=http://127.0.0.1:8080 CONNECTLINK_API_KEY=cl_test_… go run ./examples/tour
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/connectlink/connectlink/client"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := client.NewFromEnvironment()
	if err != nil {
		return err
	}
	_, err = c.CreateInvite(ctx, client.CreateInvite{App: "slack", Channel: client.ChannelEmail})
	if !errors.Is(err, client.ErrorCodeInvalidRequest) {
		return fmt.Errorf("an invite without a user was not refused: %w", err)
	}
	fmt.Println("refused:", client.ErrorCodeInvalidRequest)

	invite, err := c.CreateInvite(ctx, client.CreateInvite{
		ExternalUserID: "user-1", App: "slack", Channel: client.ChannelEmail,
		Recipient: &client.Recipient{Email: new("delivered+connect@connectlink.test"), Name: new("Pat")},
		Inviter:   &client.Inviter{Name: "Sam Rivera"},
		Metadata:  &client.Metadata{"ticket": "4711"},
	}, client.WithIdempotencyKey("tour-"+time.Now().Format(time.RFC3339Nano)))
	if err != nil {
		return err
	}
	fmt.Println("created:", invite.ID)
	invite, err = c.WaitForInvite(ctx, invite.ID)
	if err != nil {
		return err
	}
	fmt.Println("status:", invite.Status)
	for m, err := range c.TestMessages(ctx, invite.ID) {
		if err != nil {
			return err
		}
		fmt.Println("message to:", m.To)
	}
	for found, err := range c.Invites(ctx, client.InviteFilter{ExternalUserID: "user-1", Status: []client.InviteStatus{client.InviteStatusConnected}}) {
		if err != nil {
			return err
		}
		if found.ID == invite.ID {
			fmt.Println("listed:", found.Connection.AccountID)
		}
	}
	link, err := c.CreateInvite(ctx, client.CreateInvite{ExternalUserID: "user-2", App: "hubspot", Channel: client.ChannelLink})
	if err != nil {
		return err
	}
	link, err = c.RevokeInvite(ctx, link.ID, "The tour is over")
	if err != nil {
		return err
	}
	fmt.Println("status:", link.Status)
	return nil
}
