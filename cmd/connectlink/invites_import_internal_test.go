package main

import (
	"testing"
)

// FuzzParseImport reads any file: each row is a request or has a fault, and every fault
// names a line of the file.
func FuzzParseImport(f *testing.F) {
	f.Add([]byte("external_user_id,app,channel,recipient.email\nu1,slack,email,pat@customer.example\n"), false)
	f.Add([]byte("\xef\xbb\xbfexternal_user_id;app;channel;metadata.a\n=1;\"slack\n\";link;x\n;;\n"), true)
	f.Add([]byte("external_user_id\tapp\tchannel\r\n\"\tslack\tlink\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, formulas bool) {
		sheet, err := parseImport(raw, fields{}, formulas)
		if err != nil {
			if sheet != nil {
				t.Error("rows beside an error")
			}
			return
		}
		for _, f := range append(sheet.faults, sheet.warnings...) {
			if f.Line < 1 || f.Detail == "" {
				t.Errorf("a fault without a line or a cause: %+v", f)
			}
		}
		last := 1
		for _, row := range sheet.rows {
			if row.line <= last-1 || row.line < 2 {
				t.Errorf("line %d follows line %d", row.line, last)
			}
			last = row.line
		}
	})
}
