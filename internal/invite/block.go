package invite

import "slices"

// Block is why an address is not to be written to.
type Block string

const (
	HardBounce Block = "hard_bounce" // there is no such mailbox, or the provider keeps it on a list of its own
	SpamReport Block = "spam_report" // the person marked a message as spam
	OptOut     Block = "opt_out"     // the person replied STOP to the sender
	BadNumber  Block = "bad_number"  // a landline, or no phone at all
	// UnsubscribedBlock: the person unsubscribed from our emails at the mail provider.
	UnsubscribedBlock Block = "unsubscribed"
	NotMe             Block = "not_me"  // the person said that it is not for them
	ByHand            Block = "by_hand" // added by staff or by an API key
)

// Blocks lists every Block, for filters and documents.
func Blocks() []Block {
	return []Block{HardBounce, SpamReport, OptOut, UnsubscribedBlock, BadNumber, NotMe, ByHand}
}

// BlockOf reports whether what became of a message means that its address is not
// to be written to again.
func BlockOf(status DeliveryStatus, reason Reason) (Block, bool) {
	switch {
	case status == Complained, status == Suppressed && reason == MarkedSpam:
		return SpamReport, true
	case !status.DidNotArrive():
		return "", false
	case reason == AddressNotFound, reason == SuppressedBefore && status == Suppressed:
		return HardBounce, true
	case reason == OptedOut:
		return OptOut, true
	case reason == Unsubscribed:
		return UnsubscribedBlock, true
	case reason == Landline, reason == NumberUnknown, reason == InvalidNumber:
		return BadNumber, true
	}
	return "", false
}

// Reason is why a message to a blocked address is not sent.
func (b Block) Reason() Reason {
	switch b {
	case OptOut:
		return OptedOut
	case SpamReport:
		return MarkedSpam
	case UnsubscribedBlock:
		return Unsubscribed
	case HardBounce, BadNumber, NotMe, ByHand:
	}
	return SuppressedBefore
}

// Liftable reports whether staff may undo a block. What a person said to the
// provider, by STOP or by unsubscribing, only the person can undo.
func (b Block) Liftable() bool { return b != OptOut && b != UnsubscribedBlock }

// blocksBySeverity: what the person said to the provider comes first, then what they
// said otherwise, what staff decided, and what the provider found out.
func blocksBySeverity() []Block {
	return []Block{OptOut, UnsubscribedBlock, SpamReport, NotMe, ByHand, HardBounce, BadNumber}
}

// Milder returns the blocks that need not be kept beside this one for the same address.
func (b Block) Milder() []Block {
	list := blocksBySeverity()
	if i := slices.Index(list, b); i >= 0 {
		return list[i+1:]
	}
	return nil
}
