package invite

// Place is a project in one of its two modes. Every row, key and credential
// belongs to exactly one, and what belongs to one is invisible from all others,
// so that code hands the two values on together.
//
// It has no String method: structs embed it, and would be printed as it alone.
type Place struct {
	Project string `db:"project_id"` // the project's id in the configuration
	Live    bool   `db:"livemode"`   // real providers and people; otherwise test mode
}

// Mode is how paths and the names of lanes write the mode.
func (p Place) Mode() string {
	if p.Live {
		return "live"
	}
	return "test"
}
