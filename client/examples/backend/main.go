// Command backend does what a product's backend does around its invites: it finds an
// app, invites several users with one request, receives events by a webhook endpoint
// and by the list, and ends what a user has when they leave. It needs a service in
// test mode, a key with all scopes, and the address of a receiver:
//
//	CONNECTLINK_API_URL=http://127.0.0.1:8080 CONNECTLINK_API_KEY=cl_test_… go run ./examples/backend http://127.0.0.1:9000/hook
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
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: backend RECEIVER_URL")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, receiver string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := client.NewFromEnvironment()
	if err != nil {
		return err
	}
	apps, err := c.SearchApps(ctx, "slack")
	if err != nil {
		return err
	}
	app := apps.Data[0].Slug
	fmt.Println("app:", app)

	endpoint, err := addEndpoint(ctx, c, receiver)
	if err != nil {
		return err
	}
	user, err := inviteTwo(ctx, c, app)
	if err != nil {
		return err
	}
	if err := sendAgain(ctx, c, user, endpoint); err != nil {
		return err
	}
	if err := leave(ctx, c, user); err != nil {
		return err
	}
	if err := c.DeleteWebhookEndpoint(ctx, endpoint); err != nil {
		return err
	}
	_, err = c.GetWebhookEndpoint(ctx, endpoint)
	if !errors.Is(err, client.ErrorCodeEndpointNotFound) {
		return fmt.Errorf("the deleted endpoint is still there: %w", err)
	}
	fmt.Println("endpoint: deleted")
	return nil
}

// addEndpoint creates a webhook endpoint, changes it and tries it.
func addEndpoint(ctx context.Context, c *client.Client, receiver string) (string, error) {
	made, err := c.CreateWebhookEndpoint(ctx, client.CreateWebhookEndpoint{
		URL: receiver, Types: &[]client.PublicEventType{client.PublicEventTypeInviteConnected},
	})
	if err != nil {
		return "", err
	}
	// Store *made.Secret where your receiver reads it: it is not shown again.
	if made.Secret == nil {
		return "", errors.New("a new endpoint has no secret")
	}
	rotated, err := c.RotateWebhookSecret(ctx, made.ID, client.RotateWebhookSecret{ExpireOldIn: new(3600)})
	if err != nil {
		return "", err
	}
	fmt.Println("new secret:", rotated.Secret != nil && *rotated.Secret != *made.Secret)
	types := []client.PublicEventType{client.PublicEventTypeInviteConnected, client.PublicEventTypeInviteSent, client.PublicEventTypeInviteRevoked}
	changed, err := c.UpdateWebhookEndpoint(ctx, made.ID, client.UpdateWebhookEndpoint{Types: &types, Description: new("Backend")})
	if err != nil {
		return "", err
	}
	fmt.Println("types:", len(changed.Types))
	attempt, err := c.TestWebhookEndpoint(ctx, made.ID, client.PublicEventTypeInviteConnected)
	if err != nil {
		return "", err
	}
	fmt.Println("test event delivered:", attempt.Delivered)
	return made.ID, nil
}

// inviteTwo invites two users with one request, of which one is at fault, and
// returns the other one.
func inviteTwo(ctx context.Context, c *client.Client, app string) (string, error) {
	user := "user-" + time.Now().Format(time.RFC3339Nano)
	results, err := c.CreateInvites(ctx, []client.BatchInvite{
		{
			ExternalUserID: user, App: app, Channel: client.ChannelEmail, Recipient: &client.Recipient{Email: new("delivered@connectlink.test")},
			Metadata: &client.Metadata{"list": "spring"}, IdempotencyKey: new(user),
		},
		{ExternalUserID: user, App: app, Channel: client.ChannelEmail, Recipient: &client.Recipient{Email: new("not an address")}},
	})
	if err != nil {
		return "", err
	}
	for _, r := range results {
		var problem *client.Error
		switch err := r.Err(); {
		case errors.As(err, &problem):
			fmt.Printf("item %d: %s %s\n", r.Index, problem.Code, (*problem.Errors)[0].Pointer)
		case err != nil:
			return "", err
		default:
			fmt.Printf("item %d: %s\n", r.Index, r.Invite.Status)
		}
	}
	for invite, err := range c.Invites(ctx, client.InviteFilter{ExternalUserIDs: []string{user}, Metadata: client.Metadata{"list": "spring"}}) {
		if err != nil {
			return "", err
		}
		fmt.Println("found:", *invite.ExternalUserID == user)
	}
	return user, nil
}

// sendAgain waits for the user's event in the list and sends it to the endpoint
// again.
func sendAgain(ctx context.Context, c *client.Client, user, endpoint string) error {
	for {
		for event, err := range c.Events(ctx, client.EventFilter{ExternalUserID: user, Types: []client.PublicEventType{client.PublicEventTypeInviteSent}}) {
			if err != nil {
				return err
			}
			queued, err := c.RedeliverEvent(ctx, event.ID, endpoint)
			if err != nil {
				return err
			}
			fmt.Println("event sent again:", queued.Endpoints[0] == endpoint)
			return nil
		}
		select { // an event is listed when the transactions before it have ended
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// leave ends the user's invites, and exports and erases their data.
func leave(ctx context.Context, c *client.Client, user string) error {
	revoked, err := c.RevokeInvites(ctx, client.RevokeInvites{ExternalUserID: user, Reason: new("The user left")})
	if err != nil {
		return err
	}
	fmt.Println("revoked:", revoked.Revoked)
	suppression, err := c.AddSuppression(ctx, client.AddSuppression{Email: new("left@connectlink.test"), Reason: "The user left"})
	if err != nil {
		return err
	}
	if _, err := c.LiftSuppression(ctx, suppression.ID, "The user is back"); err != nil {
		return err
	}
	export, err := c.ExportPerson(ctx, user)
	if err != nil {
		return err
	}
	fmt.Println("exported invites:", len(export.Invites))
	erased, err := c.ErasePerson(ctx, user, "Request 4711")
	if err != nil {
		return err
	}
	fmt.Println("erased invites:", erased.Invites)
	return nil
}
