-- +goose Up
-- What a refresh has found changed of a table's columns at the service, until somebody takes it over.

alter table tables add column schema_found jsonb; -- the table as the service describes it now; null: as it is here

alter table columns
    add column anchor text    not null default '', -- the service's id of the field that outlives its name, where it has one
    add column gone   boolean not null default false; -- the service does not have it any more

-- +goose Down
alter table columns drop column gone, drop column anchor;
alter table tables drop column schema_found;
