package devpg

// Offer is a download somebody may agree to.
type Offer struct {
	Package string // npm's name and version
	To      string // the folder it is kept in
}
