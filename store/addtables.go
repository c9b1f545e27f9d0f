package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// moreColumns are columns that a table of the snapshot is to get.
type moreColumns struct {
	index int // in what was asked for
	table Table
	cols  []NewColumn
}

// AddTables takes more remote tables into a snapshot, and more columns of those that are in it, with the job that downloads
// them: for a table that is here already it reads every record anew and merges, as a refresh does, and removes nothing. Codes:
// NotFound, Forbidden, Invalid (nothing is new), Busy.
func (s *Store) AddTables(ctx context.Context, by core.Actor, snapshot string, list []NewTable) (Job, error) {
	if err := by.Require(core.Editor); err != nil {
		return Job{}, err
	}
	if len(list) == 0 {
		return Job{}, core.FieldErrorf("/tables", "Choose at least one table.")
	}
	if err := checkTables(list); err != nil {
		return Job{}, err
	}
	if job, done, err := s.doneJob(ctx, by); err != nil || done {
		return job, err
	}
	var job Job
	var widened []moreColumns
	err := s.tx(atPoint(ctx, "tables.add"), by, func(tx pgx.Tx) (err error) {
		var name string
		err = tx.QueryRow(ctx, `select name from snapshots where org_id = $1 and id = $2 for no key update`, by.Org, snapshot).Scan(&name)
		if err != nil {
			return err
		}
		fresh, more, err := partTables(ctx, tx, by, snapshot, list)
		if err != nil {
			return err
		}
		widened = more
		ids, err := widenTables(ctx, tx, by, snapshot, more)
		if err != nil {
			return err
		}
		added, err := addTables(ctx, tx, by, snapshot, fresh)
		if err != nil {
			return err
		}
		args, err := json.Marshal(map[string]any{"snapshot": snapshot, "tables": append(ids, added...)})
		if err != nil {
			return fmt.Errorf("job args: %w", err)
		}
		job, err = s.EnqueueTx(ctx, tx, by, NewJob{Kind: "download", Snapshot: snapshot, Connection: list[0].Connection, Label: "Download more of " + name, Args: args})
		if err != nil {
			return err
		}
		return keepDone(ctx, tx, by, "job", job.ID)
	})
	if err != nil {
		return Job{}, err
	}
	s.Wake(ctx, job.ID)
	s.hintJob(ctx, job)
	for _, m := range widened {
		s.notify.Notify(ctx, core.Hint{Org: by.Org, Snapshot: snapshot, Table: m.table.ID, Version: m.table.Version, Many: true, Kind: "change", Actor: by.Person, Client: by.Client})
	}
	return job, nil
}

// partTables parts what is asked for into tables that are new to the snapshot and columns that tables of it do not have yet.
func partTables(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot string, list []NewTable) (fresh []NewTable, more []moreColumns, err error) {
	here, err := selectTables(ctx, tx, "org_id = $1 and snapshot_id = $2", by.Org, snapshot)
	if err != nil {
		return nil, nil, err
	}
	if err := fillColumns(ctx, tx, by.Org, here); err != nil {
		return nil, nil, err
	}
	for i, n := range list {
		at := slices.IndexFunc(here, func(t Table) bool {
			return t.Source == core.Remote && t.Connection == n.Connection && t.RemoteID == n.RemoteID
		})
		if at < 0 {
			fresh = append(fresh, n)
			continue
		}
		m := moreColumns{index: i, table: here[at], cols: columnsNotIn(here[at], n.Columns)}
		if len(m.cols) == 0 {
			return nil, nil, core.FieldErrorf(fmt.Sprintf("/tables/%d", i), "%s is in this snapshot with all these columns already.", n.Title)
		}
		if total := len(m.table.Columns) + len(m.cols); total > MaxColumns {
			return nil, nil, tooManyColumns(i, n.Title, total)
		}
		more = append(more, m)
	}
	// Locks on several tables are taken in one order.
	slices.SortFunc(more, func(a, b moreColumns) int { return strings.Compare(a.table.ID, b.table.ID) })
	return fresh, more, nil
}

func columnsNotIn(t Table, cols []NewColumn) []NewColumn {
	return slices.DeleteFunc(slices.Clone(cols), func(n NewColumn) bool {
		return slices.ContainsFunc(t.Columns, func(c core.Column) bool { return c.RemoteID == n.RemoteID })
	})
}

// widenTables adds columns to tables, empty until they are downloaded, and gives the tables' ids.
func widenTables(ctx context.Context, tx pgx.Tx, by core.Actor, snapshot string, more []moreColumns) ([]string, error) {
	ids := []string{}
	for _, m := range more {
		if _, err := lockTable(ctx, tx, m.table); err != nil {
			return nil, err
		}
		number, err := reserveColumns(ctx, tx, by.Org, snapshot, len(m.cols))
		if err != nil {
			return nil, err
		}
		place := columnPlace{table: m.table.ID, number: number, position: len(m.table.Columns), taken: map[string]bool{}, source: core.Remote}
		for _, c := range m.table.Columns {
			place.taken[c.Slug], place.position = true, max(place.position, c.Position+1)
		}
		if err := insertColumns(ctx, tx, by.Org, snapshot, place, m.cols); err != nil {
			return nil, err
		}
		var parts []string
		for i, c := range m.cols {
			parts = append(parts, "add column "+ident("c"+strconv.Itoa(number+i))+" "+physicalType(c.Type))
		}
		if _, err := tx.Exec(ctx, "alter table "+dataTable(m.table)+" "+strings.Join(parts, ", ")); err != nil {
			return nil, fmt.Errorf("add columns: %w", err)
		}
		ids = append(ids, m.table.ID)
	}
	return ids, nil
}
