package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// ResolveReferences makes references of what people and agents write into reference cells: the id of a record stays, and what
// one record alone is called becomes its id. What names no record, or several, is taken out of the changes and refused. Where
// the table that is referred to is not in the snapshot, or not downloaded yet, nobody can say, and everything stays.
func (s *Store) ResolveReferences(ctx context.Context, by core.Actor, t Table, ch *Changes) ([]Refusal, error) {
	var refused []Refusal
	for _, c := range referenceColumns(t) {
		written := writtenReferences(c, *ch)
		if len(written) == 0 || c.Options.TargetTable == "" {
			continue
		}
		target, err := s.TableByID(ctx, by, TableRef{t.Snapshot, c.Options.TargetTable})
		if core.CodeOf(err) == core.NotFound || err == nil && target.DownloadedAt == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := s.named(ctx, target, written)
		if err != nil {
			return nil, err
		}
		refused = append(refused, ch.replaceReferences(c, target, found)...)
	}
	return refused, nil
}

// writtenReferences lists the different texts that changes write into a reference column, but for records that have no id at
// the service yet.
func writtenReferences(c core.Column, ch Changes) []string {
	all := map[string]bool{}
	note := func(v core.Value) {
		v.EachReference(c.Type, func(text string) string { all[text] = true; return text })
	}
	for _, e := range ch.Sets {
		if e.Column == c.Number {
			note(e.Value)
		}
	}
	for _, n := range ch.Creates {
		note(n.Values[c.Number])
	}
	return slices.Sorted(maps.Keys(all))
}

// named gives, by text, the references that it may stand for: itself when it is one, else those of records that are called so.
func (s *Store) named(ctx context.Context, target Table, texts []string) (map[string][]string, error) {
	found := map[string][]string{}
	keep := func(rows pgx.Rows, err error) error {
		if err != nil {
			return mapError(fmt.Errorf("named records: %w", err))
		}
		var text, ref string
		_, err = pgx.ForEachRow(rows, []any{&text, &ref}, func() error {
			found[text] = append(found[text], ref)
			return nil
		})
		return mapError(err)
	}
	// Each condition is a key of its own, so that records are found by their index and not by reading the table.
	err := keep(s.pool.Query(ctx, `select v, v from unnest($1::text[]) v where exists (select 1 from `+dataTable(target)+` r
			where r._remote_id = case when v like '~~%' then substr(v, 2) else v end and v !~ `+hereRef+`)
		or exists (select 1 from `+dataTable(target)+` r where r._id = case when v ~ `+hereRef+` then substr(v, 2)::bigint end)`, dynamic, texts))
	if err != nil {
		return nil, err
	}
	unknown := slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return found[text] != nil })
	if len(unknown) == 0 {
		return found, nil
	}
	called := func(by string) string {
		return `select v, ` + referenceSQL + ` as ref from ` + dataTable(target) + ` r join unnest($1::text[]) v on lower(` + by + `) = lower(v) where r._state in (0, 1) and v <> ''`
	}
	return found, keep(s.pool.Query(ctx, called(titleSQL(target))+` union `+called("r._remote_id")+` order by 1, 2`, dynamic, unknown))
}

// replaceReferences puts the references in the place of the texts, and takes out what has none.
func (ch *Changes) replaceReferences(c core.Column, target Table, found map[string][]string) (refused []Refusal) {
	replaced := func(v core.Value) (with core.Value, why string) {
		with = v.EachReference(c.Type, func(text string) string {
			switch refs := found[text]; {
			case len(refs) == 1:
				return refs[0]
			case why != "": // one reason is enough
			case len(refs) == 0:
				why = fmt.Sprintf("No record of %s has the id “%s”, or is called so.", target.Title, text)
			default:
				why = fmt.Sprintf("Several records of %s are called “%s”: choose one from the list, or write its id.", target.Title, text)
			}
			return text
		})
		return with, why
	}
	sets := ch.Sets[:0:0]
	for _, e := range ch.Sets {
		if e.Column == c.Number {
			v, why := replaced(e.Value)
			if why != "" {
				refused = append(refused, Refusal{Index: e.Index, Record: e.Record, Column: c.Number, Slug: c.Slug, Reason: why})
				continue
			}
			e.Value = v
		}
		sets = append(sets, e)
	}
	creates := ch.Creates[:0:0]
	for _, n := range ch.Creates {
		if v, ok := n.Values[c.Number]; ok {
			v, why := replaced(v)
			if why != "" {
				refused = append(refused, Refusal{Index: n.Index, Column: c.Number, Slug: c.Slug, Reason: why})
				continue
			}
			n.Values = maps.Clone(n.Values)
			n.Values[c.Number] = v
		}
		creates = append(creates, n)
	}
	ch.Sets, ch.Creates = sets, creates
	return refused
}
