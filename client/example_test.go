package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/connectlink/connectlink/client"
)

func ExampleClient_CreateInvite() {
	ctx := context.Background()
	c := newStub().client() // in your program: client.NewFromEnvironment()
	invite, err := c.CreateInvite(ctx, client.CreateInvite{
		ExternalUserID: "user_8412",
		App:            "slack",
		Channel:        client.ChannelEmail,
		Recipient:      &client.Recipient{Email: new("delivered+connect@connectlink.test"), Name: new("Pat Lee")},
	}, client.WithIdempotencyKey("onboarding-user_8412-slack"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(invite.Status, invite.App.Name)
	// Output: active Slack
}

func ExampleError() {
	c := newStub().client()
	_, err := c.CreateInvite(context.Background(), client.CreateInvite{App: "slack", Channel: client.ChannelLink})
	if errors.Is(err, client.ErrorCodeInvalidRequest) {
		var problem *client.Error
		errors.As(err, &problem)
		for _, fault := range *problem.Errors {
			fmt.Println(fault.Pointer, fault.Detail)
		}
	}
	// Output: /external_user_id is missing
}

func ExampleClient_WaitForInvite() {
	ctx := context.Background()
	c := newStub().client()
	invite, err := c.CreateInvite(ctx, client.CreateInvite{ExternalUserID: "user_8412", App: "slack", Channel: client.ChannelLink})
	if err == nil {
		invite, err = c.WaitForInvite(ctx, invite.ID)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(invite.Status, invite.Connection.AccountID)
	// Output: connected apn_1
}

func ExampleClient_Invites() {
	ctx := context.Background()
	c := newStub().client()
	for _, user := range []string{"user_1", "user_2", "user_3"} {
		if _, err := c.CreateInvite(ctx, client.CreateInvite{ExternalUserID: user, App: "slack", Channel: client.ChannelLink}); err != nil {
			fmt.Println(err)
			return
		}
	}
	for invite, err := range c.Invites(ctx, client.InviteFilter{App: "slack"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(*invite.ExternalUserID, invite.Status)
	}
	// Output:
	// user_1 active
	// user_2 active
	// user_3 active
}
