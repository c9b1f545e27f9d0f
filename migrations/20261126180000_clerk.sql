-- +goose Up
-- People and organizations of a sign-in at Clerk, mirrored on first sight and by webhooks. clerk_at is of the newest word on a row, since
-- webhooks come late and in any order.
alter table people add column clerk_id text unique, add column clerk_at timestamptz;
alter table organizations add column clerk_id text unique, add column clerk_at timestamptz;
alter table members add column clerk_at timestamptz;

-- Who left: a session token from before lets nobody back in.
create table clerk_left (
    org_id      text        not null references organizations on delete cascade,
    person_id   text        not null references people on delete cascade,
    at          timestamptz not null,
    primary key (org_id, person_id)
);

-- Webhooks that were done, by id: the same one may be sent again. The program's own.
create table clerk_events (
    id          text primary key,
    at          timestamptz not null default now()
);

-- +goose Down
drop table clerk_events, clerk_left;
alter table members drop column clerk_at;
alter table organizations drop column clerk_id, drop column clerk_at;
alter table people drop column clerk_id, drop column clerk_at;
