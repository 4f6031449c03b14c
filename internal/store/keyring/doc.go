// Package keyring owns the tables that tell which keys are in use, where rows of each
// key are, and how far re-sealing is. It reads and renews sealed and hashed columns of
// any table, by a description of the table; it must not know what the columns mean:
// package reseal does.
//
// Tables are read by ranges of blocks, not by keys: each range is a TID range scan
// under any indexes and statistics, and progress is a share of blocks. A row
// that an update moves to a block behind the cursor is found by the next pass.
package keyring

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Half is the half of a keyset that a column depends on.
type Half string

// The halves.
const (
	Sealing Half = "sealing"
	Hashing Half = "hashing"
)

// Column is a column whose values begin with the id of a key.
type Column struct {
	Name string
	Half Half
	// Place and ID are where a sealed value stands: the column as package seal knows it,
	// and the SQL expression of the row's UUID.
	Place, ID string
	// Where limits the rows whose value depends on a key; empty: all but NULL.
	Where string
	// Value is the SQL expression of the value where it is not a column; such values
	// are counted and never renewed.
	Value string
}

// value is the SQL expression of the value.
func (c Column) value() string {
	if c.Value != "" {
		return c.Value
	}
	return c.Name
}

// keyed is the SQL condition of values that depend on a key.
func (c Column) keyed() string {
	if c.Where == "" {
		return c.value() + " IS NOT NULL AND octet_length(" + c.value() + ") > 4"
	}
	return c.value() + " IS NOT NULL AND octet_length(" + c.value() + ") > 4 AND (" + c.Where + ")"
}

// key is the SQL expression of a value's key id, as 4 bytes.
func (c Column) key() string {
	if c.Half == Sealing {
		return "substring(" + c.value() + " from 2 for 4)"
	}
	return "substring(" + c.value() + " from 1 for 4)"
}

// Table is a table with columns that depend on keys.
type Table struct {
	Name    string // with its schema
	Columns []Column
	Texts   []string // SQL expressions of text that are read with each row
	// Unique: a column of a unique index is renewed, so rows are locked for that.
	Unique bool
}

// keyBytes is a key's id as values hold it.
func keyBytes(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id) }

// stale is the SQL condition of rows with a value under another key than $1 (sealing)
// and $2 (hashing), both as 4 bytes.
func (t Table) stale() string {
	var or []string
	for _, c := range t.Columns {
		n := 1
		if c.Half == Hashing {
			n = 2
		}
		or = append(or, fmt.Sprintf("(%s AND %s <> $%d::bytea)", c.keyed(), c.key(), n))
	}
	// Both parameters need a type in every statement, also where no column uses one.
	return "($1::bytea IS NOT NULL AND $2::bytea IS NOT NULL AND (" + strings.Join(or, " OR ") + "))"
}
