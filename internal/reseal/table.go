package reseal

import (
	"strings"

	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

// sealed is a column that holds sealed values.
type sealed struct {
	name string
	id   string // SQL expression of the UUID that values are sealed for; empty: id
}

// hashed is a column that holds keyed hashes.
type hashed struct {
	name  string
	id    string // SQL expression of a UUID that is read with it
	where string // SQL condition of the rows whose value is a keyed hash; empty: all
	// hashes returns the hashes that the value may be, one per live key, the primary
	// key's first; none if the row does not tell. sure is false where the stored value
	// may be another one that is as good.
	hashes func(box *seal.Box, r row) (list []seal.Hash, sure bool)
	// waits tells what ends the rows that cannot be renewed; empty: nothing does.
	waits string
}

// plain is a column of bytes that does not depend on a key.
type plain struct{ name, reason string }

// table is a table with columns of bytes.
type table struct {
	name   string // with its schema
	sealed []sealed
	hashed []hashed
	plain  []plain
	texts  []string // SQL expressions that hashes are made of
	unique bool     // a hash is in a unique index
	// isOver reports whether a row of an old key has had its time: it is deleted.
	isOver func(r row) bool
	// isSpent reports whether the hashes of a row serve nothing any more: they are emptied.
	isSpent func(r row) bool
	// set adds what else changes with a renewed row.
	set func(box *seal.Box, r row, set map[string]any)
	// before orders the changes of a batch, and makes room for them.
	before func(b *batch, changes []keyring.Change) error
	// renew replaces the usual way of renewing a batch.
	renew func(s *Service, b *batch) error
	// after is called for a renewed row, before its batch is committed.
	after func(s *Service, b *batch, r row)
}

// row is a row with its sealed columns opened.
type row struct {
	opened map[string]string // by column; those that are NULL or do not open are missing
	ids    map[string][16]byte
	texts  map[string]string // by expression
}

// value returns an opened column; nil if it is missing.
func (r row) value(column string) []byte {
	if v, ok := r.opened[column]; ok {
		return []byte(v)
	}
	return nil
}

func (r row) is(expression string) bool { return r.texts[expression] == "true" }

// base is the name that places of sealed values begin with: the table's, without the
// schema public.
func (t table) base() string { return strings.TrimPrefix(t.name, "public.") }

// columns is the table as package keyring reads it, sealed columns first.
func (t table) columns() keyring.Table {
	out := keyring.Table{Name: t.name, Texts: t.texts, Unique: t.unique}
	for _, c := range t.sealed {
		id := c.id
		if id == "" {
			id = "id"
		}
		out.Columns = append(out.Columns, keyring.Column{Name: c.name, Half: keyring.Sealing, Place: t.base() + "." + c.name, ID: id})
	}
	for _, c := range t.hashed {
		out.Columns = append(out.Columns, keyring.Column{Name: c.name, Half: keyring.Hashing, ID: c.id, Where: c.where})
	}
	return out
}
