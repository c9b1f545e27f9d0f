package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// manyRows is from how many rows on a statement is planned as one over a whole table.
const manyRows = 10_000

// indexedShare is the part of a table up to which its records are found one by one by their key: a record costs about as much as
// 20 of a scan do, so 10,000 of 1,000,000 come by the index and 100,000 by the scan.
const indexedShare = 20

// inBulk lets the following statements of the transaction be planned for n rows: joins by hash, and by what sql (an analyze of
// a temporary table) finds out. Postgres' statistics know nothing of rows that the transaction itself has written.
func (b *batchTxn) inBulk(ctx context.Context, n int64, sql string) error {
	if n < manyRows {
		return nil
	}
	if _, err := b.tx.Exec(ctx, "set local enable_nestloop = off"); err != nil {
		return fmt.Errorf("plan in bulk: %w", err)
	}
	if sql == "" {
		return nil
	}
	if _, err := b.tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	return nil
}

// companionStatistics are the columns of the companions that conditions are about.
var companionStatistics = map[string]string{
	"_changes":       "batch, row, col, source",
	"_suggestions":   "table_id, batch, row, col, kind, edit, decided",
	"_publish_items": "plan, table_id, record, op, state, merged",
}

// keepStatistics tells Postgres of a batch of many rows at once, where it is large beside what was there: autovacuum does so
// within a minute, and the next command comes sooner. It is a matter of speed only, so a failure is logged.
func (s *Store) keepStatistics(ctx context.Context, t Table, n int64) {
	if n <= manyRows {
		return
	}
	for name, columns := range companionStatistics {
		if err := s.analyzeGrown(ctx, companion(t, name), columns, n); err != nil {
			s.log.WarnContext(ctx, "statistics not kept", "table", name, "error", err)
		}
	}
}

// analyzeGrown analyzes a table that n rows are a fifth of, or that was never analyzed.
func (s *Store) analyzeGrown(ctx context.Context, table, columns string, n int64) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var grown bool
		err := tx.QueryRow(ctx, `select pg_relation_size(oid) > 0 and (reltuples < 0 or $2 > reltuples / 5) from pg_class where oid = $1::text::regclass`, table, n).Scan(&grown)
		if err != nil || !grown {
			return err
		}
		if _, err := tx.Exec(ctx, "set local lock_timeout = '1s'"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "analyze "+table+" ("+columns+")")
		return err
	})
}
