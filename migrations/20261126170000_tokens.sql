-- +goose Up
-- What programs get in by: API tokens, of which only the SHA-256 is kept, and the keys that agents' tokens are signed with.

create table api_tokens (
    id          text primary key,
    org_id      text        not null,
    person_id   text        not null, -- who made it; their role bounds it
    name        text        not null,
    scopes      text[]      not null check (scopes <@ array['read', 'suggest', 'edit', 'publish'] and cardinality(scopes) > 0),
    hash        bytea       not null unique,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    used_at     timestamptz, -- to the minute
    foreign key (org_id, person_id) references members (org_id, person_id) on delete cascade
);
create index api_tokens_of_organization on api_tokens (org_id, person_id);

-- The program's own. The newest signs; the others are taken until they are retired.
create table signing_keys (
    id          text primary key,
    secret      bytea       not null, -- AEAD, bound to the id
    created_at  timestamptz not null default now(),
    retired_at  timestamptz
);

-- +goose Down
drop table signing_keys, api_tokens;
