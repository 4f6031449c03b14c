package devpg

// Offer is a download that the user may accept.
type Offer struct {
	Package string // npm's name and version
	To      string // the folder it is kept in
}
