//go:build unix

package devpg

// Internals worth a test of their own.
var (
	InstallLine = installLine
	Unpack      = unpack
	Verify      = verify
	Download    = download
	OfferFor    = offerFor
)
