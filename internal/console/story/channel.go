package story

import "github.com/connectlink/connectlink/internal/invite"

// ChannelName is a channel in a list or a form.
func ChannelName(w Words, c invite.Channel) string {
	switch c {
	case invite.Email:
		return w.T("Email")
	case invite.SMS:
		return w.T("SMS")
	case invite.LinkOnly:
	}
	return w.T("Link")
}

// QueueName is a channel's queue of messages.
func QueueName(w Words, c invite.Channel) string {
	if c == invite.Email {
		return w.T("Email")
	}
	return w.T("Text messages")
}

// PausedText says that a channel's queue is paused; the reason follows.
func PausedText(w Words, c invite.Channel) string {
	if c == invite.Email {
		return w.T("Sending email is paused:")
	}
	return w.T("Sending text messages is paused:")
}

func attemptTitle(w Words, number int, c invite.Channel) string {
	switch c {
	case invite.Email:
		return w.T("Attempt %d, by email", number)
	case invite.SMS:
		return w.T("Attempt %d, by text message", number)
	case invite.LinkOnly:
		return w.T("Attempt %d, as a link", number)
	}
	return w.T("Attempt %d", number)
}
