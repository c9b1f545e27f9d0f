package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"scratchpaper/internal/core"
)

func isReference(c core.Column) bool { return c.Type == core.Reference || c.Type == core.References }

// translated gives the SQL of canonical jsonb on its way into the cell that a column-number expression names: a reference
// to a record that has got its remote id meanwhile becomes that. Companions keep what was written; there "~" and an id mean
// the record for ever.
func translated(t Table, cols []core.Column, number, j string) string {
	var b strings.Builder
	for _, c := range cols {
		if isReference(c) && c.Options.TargetTable != "" {
			b.WriteString(" when " + strconv.Itoa(c.Number) + " then " + translatedReference(t, c, j))
		}
	}
	if b.Len() == 0 {
		return j
	}
	return "(case " + number + b.String() + " else " + j + " end)"
}

// translatedReference is translated for one column that is a reference.
func translatedReference(t Table, c core.Column, j string) string {
	remote := func(ref string) string {
		return "(select to_jsonb(" + referenceOf("x._remote_id") + ") from " + ident(t.Schema, c.Options.TargetTable) + " x where x._remote_id is not null and x._id = case when " +
			ref + " ~ " + hereRef + " then substr(" + ref + ", 2)::bigint end)"
	}
	if c.Type == core.References {
		return "(case when jsonb_typeof(" + j + ") = 'array' then (select coalesce(jsonb_agg(coalesce(" + remote("v.ref") + ", to_jsonb(v.ref)) order by v.n), '[]') from jsonb_array_elements_text(" +
			j + ") with ordinality v(ref, n)) else " + j + " end)"
	}
	return "coalesce(" + remote("("+j+" #>> '{}')") + ", " + j + ")"
}

// referenceOf gives the SQL of a reference to a record that has a remote id: one that begins with ~ is doubled.
func referenceOf(remoteID string) string {
	return "case when " + remoteID + " like '~%' then '~' || " + remoteID + " else " + remoteID + " end"
}

// keepRefs lists the reference cells of the batch that point to a record without a remote id.
func (b *batchTxn) keepRefs(ctx context.Context, cols []core.Column) error {
	var refs []int32
	for _, c := range cols {
		if isReference(c) {
			refs = append(refs, int32(c.Number)) // #nosec G115 -- Postgres has at most 1,600 columns in a table
		}
	}
	if refs == nil {
		return nil
	}
	_, err := b.tx.Exec(ctx, `delete from `+companion(b.t, "_refs")+` f using `+companion(b.t, "_changes")+` ch
		where ch.batch = $1 and ch.col = any($2) and f.row = ch.row and f.col = ch.col`, dynamic, b.id, refs)
	if err != nil {
		return fmt.Errorf("drop references: %w", err)
	}
	_, err = b.tx.Exec(ctx, `insert into `+companion(b.t, "_refs")+` (target, row, col)
		select distinct substr(v, 2)::bigint, ch.row, ch.col from `+companion(b.t, "_changes")+` ch
		cross join lateral `+referencesIn("ch.after")+` v
		where ch.batch = $1 and ch.col = any($2) and v ~ `+hereRef+` on conflict do nothing`, dynamic, b.id, refs)
	if err != nil {
		return fmt.Errorf("keep references: %w", err)
	}
	return nil
}

// refsOfNew lists references of new records to records without a remote id.
func (b *batchTxn) refsOfNew(ctx context.Context, ids []int64) error {
	for _, c := range b.t.Columns {
		if !isReference(c) {
			continue
		}
		values := "array[r." + ident(c.Physical) + "]"
		if c.Type == core.References {
			values = "r." + ident(c.Physical)
		}
		_, err := b.tx.Exec(ctx, `insert into `+companion(b.t, "_refs")+` (target, row, col)
			select substr(v, 2)::bigint, r._id, $2 from `+dataTable(b.t)+` r cross join lateral unnest(`+values+`) v
			where r._id = any($1) and v ~ `+hereRef+` on conflict do nothing`, dynamic, ids, c.Number)
		if err != nil {
			return fmt.Errorf("references of new records: %w", err)
		}
	}
	return nil
}
