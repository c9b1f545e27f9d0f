-- +goose Up
-- What a person says of tables and columns here, and views that can be found by table.

alter table tables add column description text not null default '';

alter table columns
    add column description text    not null default '',
    add column locks       text[]  not null default '{}', -- read_only: nobody edits it here; never_publish: no plan takes it
    add column filled      boolean not null default true, -- false: added later, and not downloaded for every record yet
    add check (locks <@ array['read_only', 'never_publish']);

create index views_of_table on views (org_id, table_id);

-- +goose Down
drop index views_of_table;
alter table columns drop column filled, drop column locks, drop column description;
alter table tables drop column description;
