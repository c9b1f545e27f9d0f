package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scratchpaper/internal/core"
)

// Stage is where the rows of a file wait for the table that they go into: a table in the snapshot's schema that lives as long as
// its job, so that a crash loses none of them and no lock is held while the file is read.
type Stage struct {
	table Table
	job   string
	cols  []core.Column
}

// StagedRow is a row of a file; values are in the order of the stage's columns.
type StagedRow struct {
	N       int64 // counted from 0
	Line    int64
	Values  []core.Value
	Misfits []int32 // numbers of columns for which the row says nothing
}

// StageOf gives a job's stage for some columns of a table; 0 and repeated numbers are passed over.
func StageOf(j *Job, t Table, numbers []int) Stage {
	return Stage{table: t, job: j.ID, cols: chosenColumns(t, numbers)}
}

// Columns gives the stage's columns in order.
func (st Stage) Columns() []core.Column { return st.cols }

func (st Stage) name() string { return ident(st.table.Schema, "_import_"+st.job) }

// OpenStage makes the stage unless it is there.
func (s *Store) OpenStage(ctx context.Context, st Stage) error {
	var ddl strings.Builder
	ddl.WriteString("create table if not exists " + st.name() + " (n bigint primary key, line bigint not null, misfits int[] not null")
	for _, c := range st.cols {
		typ := "text"
		if c.Type.IsList() {
			typ = "text[]"
		}
		ddl.WriteString(", " + ident(c.Physical) + " " + typ)
	}
	ddl.WriteString(")")
	if _, err := s.pool.Exec(ctx, ddl.String(), dynamic); err != nil {
		return mapError(fmt.Errorf("open stage: %w", err))
	}
	return nil
}

// StageRows brings rows in, with the job's checkpoint, in one transaction. Codes: Conflict (ErrLeaseLost).
func (s *Store) StageRows(ctx context.Context, j *Job, st Stage, list []StagedRow, checkpoint any) error {
	return s.tx(ctx, j.Actor(), func(tx pgx.Tx) error {
		if err := s.CheckpointTx(ctx, tx, j, checkpoint); err != nil {
			return err
		}
		_, err := copyText(ctx, tx, st.name(), []string{"n", "line", "misfits"}, st.cols, len(list), func(line []byte, i int) []byte {
			line = strconv.AppendInt(line, list[i].N, 10)
			line = strconv.AppendInt(append(line, '\t'), list[i].Line, 10)
			line = append(line, "\t{"...)
			for k, m := range list[i].Misfits {
				if k > 0 {
					line = append(line, ',')
				}
				line = strconv.AppendInt(line, int64(m), 10)
			}
			return appendValues(append(line, '}'), st.cols, list[i].Values)
		})
		if err != nil {
			return fmt.Errorf("stage rows: %w", err)
		}
		return nil
	})
}

// DropStage forgets a stage whose job has ended otherwise.
func (s *Store) DropStage(ctx context.Context, st Stage) error { return mapError(st.drop(ctx, s.pool)) }

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func (st Stage) drop(ctx context.Context, e execer) error {
	if _, err := e.Exec(ctx, "drop table if exists "+st.name(), dynamic); err != nil {
		return fmt.Errorf("drop stage: %w", err)
	}
	return nil
}
