package postgrestest_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestTxIsInvisibleToOthers(t *testing.T) {
	t.Parallel()
	for range 2 {
		tx := postgrestest.Tx(t)
		var n int
		if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relname = 'mine'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Fatal("saw another transaction's table")
		}
		if _, err := tx.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkTx(b *testing.B) {
	for b.Loop() {
		b.Run("", func(b *testing.B) { postgrestest.Tx(b) })
	}
}

func BenchmarkNew(b *testing.B) {
	postgrestest.Tx(b)
	for b.Loop() {
		postgrestest.New(b)
	}
}
