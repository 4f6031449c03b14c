package audit_test

import (
	"bytes"
	"testing"

	"github.com/connectlink/connectlink/internal/audit"
)

// FuzzVerifyExport reads any file as an export of the audit log: it is an error or has a
// finding, for no text in it has the hash that it claims by accident.
func FuzzVerifyExport(f *testing.F) {
	f.Add([]byte(`{"number":1,"previous":"","hash":"00","entry":{"act":"create"}}` + "\n"))
	f.Add([]byte("{\"number\":9223372036854775807,\"previous\":\"ff\",\"hash\":\"\"}\n\n{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := audit.VerifyExport(bytes.NewReader(raw), nil)
		if err == nil && r.Entries > 0 && r.Faults == 0 {
			t.Errorf("%q passes for an export of %d entries", raw, r.Entries)
		}
	})
}
