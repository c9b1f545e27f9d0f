-- +goose Up
-- The keys that credentials are sealed with, each encrypted with the operator's key and bound to its id, which what it seals begins with.
-- Where there is none the operator's key seals itself.
create table secret_keys (
    id          bigint primary key,
    sealed      bytea       not null,
    made_at     timestamptz not null default now(),
    replaced_at timestamptz -- since when another one seals
);
create unique index one_secret_key_seals on secret_keys ((true)) where replaced_at is null;

-- +goose Down
drop table secret_keys;
