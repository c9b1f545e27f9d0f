package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// filterSQL gives the condition of an expression and a quick find over alias r. Deleted records are left out unless the
// expression asks for them.
func filterSQL(t Table, filter, find string, args *[]any) (string, error) {
	conds := []string{}
	deleted := false
	if f := strings.TrimSpace(filter); f != "" && f != "true" {
		compiled, err := expr.CompileFilter(f, t.Columns)
		if err != nil {
			return "", err
		}
		b := &expr.Builder{Schema: t.Schema, Args: *args}
		sql, err := compiled.SQL(b)
		if err != nil {
			return "", err
		}
		*args = b.Args
		conds = append(conds, "("+sql+")")
		deleted = compiled.UsesDeleted()
	}
	if !deleted {
		conds = append(conds, "r._state <> 2")
	}
	if find != "" {
		conds = append(conds, findSQL(t, find, args))
	}
	return strings.Join(conds, " and "), nil
}

// findSQL finds a text in any column, whatever its case.
func findSQL(t Table, find string, args *[]any) string {
	*args = append(*args, "%"+likeEscape(find)+"%")
	n := "$" + strconv.Itoa(len(*args))
	var any []string
	for _, c := range t.Columns {
		cell := "r." + ident(c.Physical)
		switch {
		case c.Type.IsText():
		case c.Type.IsList():
			cell = "array_to_string(" + cell + ", ', ')"
		default:
			cell += "::text"
		}
		any = append(any, cell+` collate "und-x-icu" ilike `+n)
	}
	return "(" + strings.Join(any, " or ") + ")"
}

func likeEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// recordsSQL gives the condition over alias r for the records that w chooses. Long lists of ids go into a temporary table.
// Codes: Invalid (an empty Where, a bad filter), Conflict (the order is gone).
func (s *Store) recordsSQL(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, w Where, args *[]any) (string, error) {
	if w.Empty() {
		return "", core.FieldErrorf("/where", "Say which records: an empty “where” is refused. {\"filter\": \"true\"} is all of them.")
	}
	cond, err := filterSQL(t, w.Filter, w.Find, args)
	if err != nil {
		return "", err
	}
	cond += touchedSQL(t, w, args)
	if w.Chosen != "" {
		return cond + " and " + inChosen, loadChosen(ctx, tx, by, w.Chosen)
	}
	ids, given, err := s.listed(ctx, by, t, w)
	if err != nil || !given {
		return cond, err
	}
	in, err := idsSQL(ctx, tx, ids, args)
	return cond + " and " + in, err
}

// touchedSQL narrows alias r to the records that a batch changed or made suggestions for, and to those with an open suggestion
// of a group or of some ids.
func touchedSQL(t Table, w Where, args *[]any) string {
	var conds strings.Builder
	add := func(cond string, v any) {
		*args = append(*args, v)
		conds.WriteString(" and " + strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(*args))))
	}
	changes, suggestions := companion(t, "_changes"), companion(t, "_suggestions")
	if w.Batch != 0 {
		add("(exists (select 1 from "+changes+" ch where ch.batch = ? and ch.row = r._id) or exists (select 1 from "+suggestions+" s where s.batch = ? and s.row = r._id))", w.Batch)
	}
	if w.Group != "" {
		add("exists (select 1 from "+suggestions+" s where s.row = r._id and s.decided is null and "+groupSQL+" = ?)", w.Group)
	}
	if w.IDs != nil {
		add("exists (select 1 from "+suggestions+" s where s.row = r._id and s.decided is null and s.id = any(?))", w.IDs)
	}
	return conds.String()
}

// groupSQL is the key of the group that a suggestion of alias s is in.
const groupSQL = "(s.col || ':' || s.kind || ':' || s.edit)"

// listed gives the records that w names one by one, by id or by position in an order; given is false when it does not.
func (s *Store) listed(ctx context.Context, by core.Actor, t Table, w Where) (ids []int64, given bool, err error) {
	if w.Ranges == nil {
		return w.Records, w.Records != nil, nil
	}
	ids, err = s.idsInRanges(ctx, by, t, w)
	return ids, true, err
}

func (s *Store) idsInRanges(ctx context.Context, by core.Actor, t Table, w Where) ([]int64, error) {
	o, err := s.OrderByID(ctx, by, t.Ref(), w.Order)
	if err != nil {
		return nil, err
	}
	chosen := map[int64]bool{}
	for _, id := range w.Records {
		chosen[id] = true
	}
	ids := []int64{}
	for _, r := range w.Ranges {
		for _, id := range o.IDs(r[0], r[1]) {
			if w.Records == nil || chosen[id] {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// fewIDs is how many ids a statement takes as an array; more go by COPY.
const fewIDs = 1000

func idsSQL(ctx context.Context, tx pgx.Tx, ids []int64, args *[]any) (string, error) {
	if len(ids) <= fewIDs {
		if ids == nil {
			ids = []int64{}
		}
		*args = append(*args, ids)
		return "r._id = any($" + strconv.Itoa(len(*args)) + ")", nil
	}
	if err := emptyChosen(ctx, tx); err != nil {
		return "", err
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"chosen_records"}, []string{"id"},
		pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) { return []any{ids[i]}, nil }))
	if err != nil {
		return "", fmt.Errorf("copy chosen records: %w", err)
	}
	if _, err := tx.Exec(ctx, "analyze chosen_records"); err != nil {
		return "", fmt.Errorf("analyze: %w", err)
	}
	return inChosen, nil
}

// inChosen is the condition on r for the records of the transaction's list.
const inChosen = "r._id in (select id from chosen_records)"

// emptyChosen makes the transaction's list of records, empty.
func emptyChosen(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{"create temporary table if not exists chosen_records (id bigint) on commit drop", "truncate chosen_records"} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("chosen records: %w", err)
		}
	}
	return nil
}

// loadChosen puts the records that were kept for a job into the transaction's list.
func loadChosen(ctx context.Context, tx pgx.Tx, by core.Actor, job string) error {
	if err := emptyChosen(ctx, tx); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `insert into chosen_records select distinct unnest(ids) from job_records where org_id = $1 and job_id = $2`, by.Org, job)
	if err != nil {
		return fmt.Errorf("load chosen records: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return core.Errorf(core.Conflict, "The records that were chosen for this are not known any more. Nothing was changed; choose them again.")
	}
	if _, err := tx.Exec(ctx, "analyze chosen_records"); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	return nil
}

// keepChosenTx keeps the records that a job is to work on: an order may be gone when the job begins, or begins again.
func keepChosenTx(ctx context.Context, tx pgx.Tx, by core.Actor, job string, ids []int64) error {
	const part = 100_000
	for n := 0; n*part < len(ids); n++ {
		_, err := tx.Exec(ctx, `insert into job_records (org_id, job_id, part, ids) values ($1, $2, $3, $4)`, by.Org, job, n, ids[n*part:min(len(ids), (n+1)*part)])
		if err != nil {
			return fmt.Errorf("keep chosen records: %w", err)
		}
	}
	return nil
}

// suggestionsSQL gives the condition over alias s (an open suggestion of the table) for those that w chooses; the filter is
// over their records.
func (s *Store) suggestionsSQL(ctx context.Context, tx pgx.Tx, by core.Actor, t Table, w Where, args *[]any) (string, error) {
	if w.Empty() {
		return "", core.FieldErrorf("/where", "Say which suggestions: an empty “where” is refused. {\"filter\": \"true\"} is all of them.")
	}
	*args = append(*args, t.ID)
	conds := []string{"s.decided is null", "s.table_id = $" + strconv.Itoa(len(*args))}
	add := func(cond string, v any) {
		*args = append(*args, v)
		conds = append(conds, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(*args))))
	}
	if w.IDs != nil {
		add("s.id = any(?)", w.IDs)
	}
	if w.Columns != nil {
		add("s.col = any(?::bigint[])", w.Columns) // a number that no column can have finds none
	}
	if w.Batch != 0 {
		add("s.batch = ?", w.Batch)
	}
	if w.Group != "" {
		add(groupSQL+" = ?", w.Group)
	}
	if w.choosesRecords() {
		cond, err := s.recordsSQL(ctx, tx, by, t, Where{Filter: orTrue(w.Filter), Find: w.Find, Records: w.Records, Order: w.Order, Ranges: w.Ranges, Chosen: w.Chosen}, args)
		if err != nil {
			return "", err
		}
		conds = append(conds, "exists (select 1 from "+dataTable(t)+" r where r._id = s.row and "+cond+")")
	}
	return strings.Join(conds, " and "), nil
}

func orTrue(filter string) string {
	if filter == "" {
		return "true"
	}
	return filter
}
