-- +goose Up
-- Parts of the app that the operator switched off for an organization; without a row a part is on.
create table switches (
    org_id      text        not null references organizations (id) on delete cascade,
    name        text        not null,
    off_by      text        not null default '',
    off_at      timestamptz not null default now(),
    primary key (org_id, name)
);

-- +goose Down
drop table switches;
