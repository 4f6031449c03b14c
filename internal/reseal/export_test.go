package reseal

// Column is what the list says of a column.
type Column struct{ Kind, Place, Reason string }

// Columns are the columns of the list, by "schema.table.column".
func Columns() map[string]Column {
	out := map[string]Column{}
	for _, t := range tables() {
		places := t.columns().Columns
		for i, c := range t.sealed {
			out[t.name+"."+c.name] = Column{Kind: "sealed", Place: places[i].Place}
		}
		for _, c := range t.hashed {
			out[t.name+"."+c.name] = Column{Kind: "hashed"}
		}
		for _, c := range t.plain {
			out[t.name+"."+c.name] = Column{Kind: "plain", Reason: c.reason}
		}
	}
	return out
}
