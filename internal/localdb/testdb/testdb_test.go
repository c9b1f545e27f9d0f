package testdb_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/localdb/testdb"
)

func TestEachCallGivesADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := testdb.New(t), testdb.New(t)
	if _, err := one.Exec(t.Context(), "create table only_here (id int)"); err != nil {
		t.Fatal(err)
	}
	var have bool
	err := two.QueryRow(t.Context(), "select to_regclass('only_here') is not null").Scan(&have)
	if err != nil || have {
		t.Fatalf("the second database sees the table: %v %v", have, err)
	}
}

func TestAPreparedDatabaseIsFilledOnceAndCopied(t *testing.T) {
	t.Parallel()
	name, calls := rand.Text(), 0
	prepare := func(ctx context.Context, url string) error {
		calls++
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "create table ready (id int); insert into ready values (1)")
		return err
	}
	for range 2 {
		pool := testdb.Pool(t, testdb.TCP(t, testdb.Prepared(t, name, prepare)))
		var n int
		if err := pool.QueryRow(t.Context(), "delete from ready returning id").Scan(&n); err != nil || n != 1 {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if calls != 1 {
		t.Fatalf("prepared %d times", calls)
	}
}
