package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The catalog is read from pg_catalog, since information_schema hides what the login may not touch, and then nobody
// could say why a table is read-only. $1 is an array of schemas and $2 one of names, both null for all.

const relationsSQL = `
select c.oid::bigint, n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, -1)::bigint, c.relpages = 0,
       has_schema_privilege(n.oid, 'usage'), has_table_privilege(c.oid, 'select'), has_any_column_privilege(c.oid, 'select'),
       has_any_column_privilege(c.oid, 'update'), has_any_column_privilege(c.oid, 'insert'), has_table_privilege(c.oid, 'delete'),
       pg_relation_is_updatable(c.oid, true), pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on'
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not c.relispartition
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  and ($1::text is null or (n.nspname = $1 and c.relname = $2))
order by n.nspname, c.relname`

const columnsSQL = `
select a.attrelid::bigint, a.attnum::int, a.attname, a.atttypid::bigint, a.atttypmod, format_type(a.atttypid, a.atttypmod),
       a.attnotnull, a.attidentity::text, a.attgenerated::text, a.atthasdef,
       coalesce((select pg_get_expr(def.adbin, def.adrelid) ~ '\m((now|(clock|statement|transaction)_timestamp|gen_random_uuid|uuidv[47]|uuid_generate_v[14]|random)\(|CURRENT_(TIMESTAMP|DATE|TIME)|LOCALTIME)'
           from pg_attrdef def where def.adrelid = a.attrelid and def.adnum = a.attnum), false),
       has_column_privilege(a.attrelid, a.attnum, 'select'), has_column_privilege(a.attrelid, a.attnum, 'update'),
       has_column_privilege(a.attrelid, a.attnum, 'insert'), pg_column_is_updatable(a.attrelid, a.attnum, true),
       coalesce(q.oid, 0)::bigint, coalesce(has_sequence_privilege(q.oid, 'usage, update'), false)
from pg_attribute a
left join lateral (
    select s.oid
    from pg_depend d
    join pg_class s on s.oid = d.objid and s.relkind = 'S'
    where a.attidentity <> '' and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i'
    union all
    select s.oid
    from pg_attrdef def
    join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = def.oid and d.refclassid = 'pg_class'::regclass
    join pg_class s on s.oid = d.refobjid and s.relkind = 'S'
    where def.adrelid = a.attrelid and def.adnum = a.attnum and pg_get_expr(def.adbin, def.adrelid) like 'nextval(%'
    limit 1
) q on true
where a.attrelid = any($1::bigint[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`

const typesSQL = `
select t.oid::bigint, n.nspname, t.typname, t.typtype::text, t.typcategory::text, t.typelem::bigint, t.typbasetype::bigint,
       t.typtypmod, t.typnotnull, format_type(t.oid, -1),
       array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder),
       coalesce((select pg_get_constraintdef(k.oid) from pg_constraint k where k.contypid = t.oid and k.contype = 'c' order by k.oid limit 1), '')
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
where t.typtype <> 'c' and not exists (select from pg_type e where e.oid = t.typelem and e.typtype = 'c')`

const constraintsSQL = `
select k.conrelid::bigint, k.conname, k.contype::text, k.conkey::int[], pg_get_constraintdef(k.oid),
       coalesce(fn.nspname, ''), coalesce(f.relname, ''),
       coalesce((select p.conkey = k.confkey from pg_constraint p where p.conrelid = k.confrelid and p.contype = 'p'), false)
from pg_constraint k
left join pg_class f on f.oid = k.confrelid
left join pg_namespace fn on fn.oid = f.relnamespace
where k.conrelid = any($1::bigint[]) and k.contype in ('c', 'f', 'u', 'p')
order by k.conrelid, k.oid`

const indexesSQL = `
select i.indrelid::bigint, i.indisprimary, i.indimmediate, i.indnkeyatts, i.indkey::int2[]::int[]
from pg_index i
where i.indrelid = any($1::bigint[]) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
order by i.indrelid, i.indisprimary desc, i.indnkeyatts, i.indexrelid`

const triggersSQL = `
select t.tgrelid::bigint, t.tgname, t.tgtype::int
from pg_trigger t
where t.tgrelid = any($1::bigint[]) and not t.tgisinternal and t.tgenabled in ('O', 'A')
order by t.tgrelid, t.tgname`

// A partition's own foreign keys to the same table are left out: its parent has them too.
const referrersSQL = `
select k.confrelid::bigint, n.nspname, c.relname, k.confdeltype::text,
       array(select a.attname::text from unnest(k.conkey) with ordinality x(num, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.num order by x.at),
       array(select a.attname::text from unnest(k.confkey) with ordinality x(num, at) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.num order by x.at)
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and k.confrelid = any($1::bigint[]) and k.conparentid = 0
order by k.confrelid, n.nspname, c.relname, k.oid`

// basesSQL gives the tables and views that a view reads from.
const basesSQL = `
select distinct w.ev_class::bigint, n.nspname, c.relname, c.relkind in ('r', 'p'),
       coalesce(array(select a.attname::text from unnest(p.conkey) with ordinality x(num, at) join pg_attribute a on a.attrelid = p.conrelid and a.attnum = x.num order by x.at), '{}')
from pg_rewrite w
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
join pg_class c on c.oid = d.refobjid and c.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_namespace n on n.oid = c.relnamespace
left join pg_constraint p on p.conrelid = c.oid and p.contype = 'p'
where w.ev_class = any($1::bigint[]) and w.rulename = '_RETURN'`

type catalogType struct {
	OID                          int64
	Schema, Name, Kind, Category string
	Element, Base                int64
	Modifier                     int32
	NotNull                      bool
	Cast                         string
	Labels                       []string
	Check                        string
}

type catalogColumn struct {
	Relation               int64
	Number                 int
	Name                   string
	Type                   int64
	Modifier               int32
	TypeWords              string
	NotNull                bool
	Identity, Generated    string
	HasDefault             bool
	Stamped                bool // the default is the time, or chosen at random
	Select, Update, Insert bool
	Updatable              bool
	Sequence               int64
	SequenceUsable         bool
}

type catalogConstraint struct {
	Relation                 int64
	Name, Kind               string
	Columns                  []int
	Definition               string
	TargetSchema, TargetName string
	TargetsKey               bool
}

type catalogIndex struct {
	Relation           int64
	Primary, Immediate bool
	KeyColumns         int
	Columns            []int
}

type catalogTrigger struct {
	Relation int64
	Name     string
	Type     int
}

type referrer struct {
	Target       int64
	Schema, Name string
	OnDelete     string
	Columns      []string
	Targets      []string
}

type catalogBase struct {
	View         int64
	Schema, Name string
	IsTable      bool
	Key          []string
}

type catalogRelation struct {
	OID                          int64
	Schema, Name, Kind           string
	Estimate                     int64
	NoPages                      bool
	Usage, SelectAll, SelectAny  bool
	UpdateAny, InsertAny, Delete bool
	Events                       int
	ReadOnly                     bool
}

// catalog is what describing takes, of some relations.
type catalog struct {
	relations   []catalogRelation
	columns     map[int64][]catalogColumn
	types       map[int64]catalogType
	constraints map[int64][]catalogConstraint
	indexes     map[int64][]catalogIndex
	triggers    map[int64][]catalogTrigger
	referrers   map[int64][]referrer
	bases       map[int64][]catalogBase
}

// readCatalog reads one relation, or all when schema is nil.
func readCatalog(ctx context.Context, tx *transaction, schema, name *string) (*catalog, error) {
	var c catalog
	var err error
	if c.relations, err = collect[catalogRelation](ctx, tx, relationsSQL, schema, name); err != nil || len(c.relations) == 0 {
		return &c, err
	}
	oids := make([]int64, len(c.relations))
	for i, r := range c.relations {
		oids[i] = r.OID
	}
	types, err := collect[catalogType](ctx, tx, typesSQL)
	if err != nil {
		return nil, err
	}
	c.types = make(map[int64]catalogType, len(types))
	for _, t := range types {
		c.types[t.OID] = t
	}
	if c.columns, err = group(ctx, tx, columnsSQL, oids, func(x catalogColumn) int64 { return x.Relation }); err != nil {
		return nil, err
	}
	if c.constraints, err = group(ctx, tx, constraintsSQL, oids, func(x catalogConstraint) int64 { return x.Relation }); err != nil {
		return nil, err
	}
	if c.indexes, err = group(ctx, tx, indexesSQL, oids, func(x catalogIndex) int64 { return x.Relation }); err != nil {
		return nil, err
	}
	if c.triggers, err = group(ctx, tx, triggersSQL, oids, func(x catalogTrigger) int64 { return x.Relation }); err != nil {
		return nil, err
	}
	if c.referrers, err = group(ctx, tx, referrersSQL, oids, func(x referrer) int64 { return x.Target }); err != nil {
		return nil, err
	}
	c.bases, err = group(ctx, tx, basesSQL, oids, func(x catalogBase) int64 { return x.View })
	return &c, err
}

func collect[T any](ctx context.Context, tx *transaction, sql string, args ...any) ([]T, error) {
	rows, err := tx.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return found, nil
}

func group[T any](ctx context.Context, tx *transaction, sql string, oids []int64, of func(T) int64) (map[int64][]T, error) {
	found, err := collect[T](ctx, tx, sql, oids)
	groups := map[int64][]T{}
	for _, x := range found {
		groups[of(x)] = append(groups[of(x)], x)
	}
	return groups, err
}
