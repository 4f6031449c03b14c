//go:build unix

package devpg

// Internals worth a test of their own.
var (
	InstallLine = installLine
	Unpack      = unpackArchive
	Verify      = verifyFile
	Download    = downloadServer
	OfferFor    = offerFor
)
