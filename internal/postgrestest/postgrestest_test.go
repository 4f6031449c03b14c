package postgrestest_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestTxIsInvisibleToOthers(t *testing.T) {
	t.Parallel()
	for range 2 {
		t.Run("", func(t *testing.T) {
			tx := postgrestest.Tx(t)
			if _, err := tx.Exec(t.Context(), "CREATE TABLE only_in_my_transaction ()"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestNewIsADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	began := time.Now()
	const n = 10
	for range n {
		t.Run("", func(t *testing.T) { postgrestest.New(t) })
	}
	t.Logf("a clone and its removal: %v", time.Since(began)/n)
	began = time.Now()
	for range n {
		t.Run("", func(t *testing.T) { postgrestest.Tx(t) })
	}
	t.Logf("a transaction and its end: %v", time.Since(began)/n)
}
