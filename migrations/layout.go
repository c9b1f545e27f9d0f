package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Layout is the number of the newest layout of a snapshot's schema.
const Layout = 3

// steps bring a schema from the layout of their place, counted from 1, to the next. A step that has been released stays as it is.
var steps = [Layout - 1]func(ctx context.Context, tx pgx.Tx, schema string) error{
	secondItem,
	planOfBatch,
}

// CreateSchema makes a snapshot's schema with its companions in the newest layout: by the way that old ones take, so that
// both are the same.
func CreateSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	return CreateSchemaAt(ctx, tx, schema, Layout)
}

// CreateSchemaAt is CreateSchema in an earlier layout.
func CreateSchemaAt(ctx context.Context, tx pgx.Tx, schema string, layout int) error {
	if err := execIn(ctx, tx, schema, layout1); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	return bringTo(ctx, tx, schema, 1, layout)
}

// BringForward brings a schema from an older layout to the newest. The snapshot's row must be locked.
func BringForward(ctx context.Context, tx pgx.Tx, schema string, from int) error {
	return bringTo(ctx, tx, schema, from, Layout)
}

func bringTo(ctx context.Context, tx pgx.Tx, schema string, from, to int) error {
	for at := from; at < to; at++ {
		if err := steps[at-1](ctx, tx, schema); err != nil {
			return fmt.Errorf("layout %d of %s: %w", at+1, schema, err)
		}
	}
	return nil
}

func execIn(ctx context.Context, tx pgx.Tx, schema, ddl string) error {
	_, err := tx.Exec(ctx, strings.ReplaceAll(ddl, "$schema", pgx.Identifier{schema}.Sanitize()))
	return err
}

// secondItem lets a plan have an update beside the create of a record: it completes one whose references form a circle.
func secondItem(ctx context.Context, tx pgx.Tx, schema string) error {
	return execIn(ctx, tx, schema, `alter table $schema._publish_items drop constraint _publish_items_plan_table_id_record_key,
		add unique (plan, table_id, record, op)`)
}

// planOfBatch lets an act of the history lead to the plan that it was part of.
func planOfBatch(ctx context.Context, tx pgx.Tx, schema string) error {
	return execIn(ctx, tx, schema, `alter table $schema._batches add column plan text`)
}

// layout1 is a snapshot's schema. (row, col) names a cell by record id and column number; col 0 is the record itself.
// jsonb values are canonical, as core.Value.Canonical writes them.
const layout1 = `
create schema $schema;
create sequence $schema._record_id;

-- One act each: the unit of undo and of history.
create table $schema._batches (
    id        bigint generated always as identity primary key,
    table_id  text        not null,
    person_id text        not null default '',
    who       text        not null default '',
    at        timestamptz not null default clock_timestamp(),
    kind      text        not null,
    label     text        not null,
    cells     bigint      not null default 0,
    records   bigint      not null default 0,
    undoes    bigint      references $schema._batches,
    redoable  boolean     not null default true, -- counts for Ctrl+Z of the person
    suggested bigint      not null default 0     -- suggestions that it made
);
create index on $schema._batches (person_id, id desc);
create index on $schema._batches (undoes) where undoes is not null;

-- What was applied. base_* and conflict_*: SQL null means that the cell had none.
create table $schema._changes (
    batch           bigint not null,
    row             bigint not null,
    col             int    not null,
    before          jsonb,
    after           jsonb,
    base_before     jsonb,
    base_after      jsonb,
    conflict_before jsonb,
    conflict_after  jsonb,
    source          bigint, -- the batch of the suggestion that was accepted
    reason          text,
    kind            text, -- of the suggestion that was accepted, so that undo can open it again
    edit            text
);
create index on $schema._changes (batch);
create index on $schema._changes (row, col);

create table $schema._suggestions (
    id      bigint generated always as identity,
    table_id text  not null,
    batch   bigint not null,
    row     bigint not null,
    col     int    not null,
    before  jsonb  not null, -- what the cell held when it was made
    after   jsonb  not null, -- at col 0: null is a delete, an object a create
    reason  text   not null default '',
    kind    text   not null default 'text',
    edit    text   not null default '', -- a hash of what remains when equal words at both ends are cut
    decided bigint,                     -- the batch that refused, staled or settled it
    primary key (id)
);
create index on $schema._suggestions (row, col);
create index on $schema._suggestions (batch);

create table $schema._problems (
    row    bigint not null,
    col    int    not null,
    rule   text   not null,
    detail text   not null default '',
    primary key (row, col, rule)
);

create table $schema._keys (
    col  int    not null,
    hash bytea  not null,
    row  bigint not null,
    primary key (col, hash, row)
);

-- Cells that refer to a record that has no remote id yet.
create table $schema._refs (
    target bigint not null,
    row    bigint not null,
    col    int    not null,
    primary key (target, row, col)
);

create table $schema._plans (
    id          text primary key,
    table_ids   text[]      not null,
    person_id   text        not null default '',
    who         text        not null default '',
    at          timestamptz not null default clock_timestamp(),
    label       text        not null,
    state       text        not null default 'draft', -- draft, publishing, done
    reverts     text,                                 -- the plan that this one reverts
    batches     bigint[]    not null default '{}',    -- revert: the batches in the snapshot that it publishes
    job_id      text,
    deletes     boolean     not null default false,   -- the deletes were ticked
    first       int,
    counts      jsonb       not null default '{}'
);

create table $schema._publish_items (
    id        bigint generated always as identity primary key,
    plan      text   not null references $schema._plans on delete cascade,
    table_id  text   not null,
    record    bigint not null,
    remote_id text,                       -- as planned; of a create: reserved or answered
    op        text   not null check (op in ('create', 'update', 'delete')),
    position  int    not null default 0,  -- order among the operation's items: parents first for creates
    state     text   not null check (state in ('planned', 'sending', 'published', 'failed', 'conflict', 'unknown', 'left_out')),
    reason    text   not null default '', -- left_out: unticked, conflict, rule, changed, gone, …; failed: the service's words
    fields    jsonb  not null default '{}', -- column number → [base, value]; {base,value} in the API
    version   text,                       -- the record's remote version that the values were compared with
    title     text   not null default '', -- how the record is called
    token     text   not null default '', -- for services that take an idempotency key
    attempts  int    not null default 0,
    sent_at   timestamptz,
    ended     boolean not null default false, -- a create that a later delete or refresh has ended
    merged    boolean not null default false, -- the outcome was taken over into the row
    unique (plan, table_id, record)
);
create index on $schema._publish_items (plan, state);
create index on $schema._publish_items (record);
-- A record is created once, whatever plan it is in.
create unique index _one_create on $schema._publish_items (record)
    where op = 'create' and state in ('sending', 'published', 'unknown') and not ended;

create table $schema._receipts (
    item     bigint not null references $schema._publish_items on delete cascade,
    at       timestamptz not null default clock_timestamp(),
    remote_id text,
    version  text,
    before   jsonb, -- field values read just before, by column number
    sent     jsonb, -- by column number
    stored   jsonb, -- what the service now holds, by column number
    words    text not null default '',
    primary key (item)
);

-- Ids seen by a full refresh, packed, one row a page, written with the page's checkpoint.
create table $schema._seen (
    job_id   text not null,
    table_id text not null,
    page     int  not null,
    ids      text[] not null,
    primary key (job_id, table_id, page)
);
`
