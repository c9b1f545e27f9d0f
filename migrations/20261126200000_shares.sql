-- +goose Up
-- Links by which somebody who has signed in looks at one snapshot of an organization that they need not belong to. The code of a link is
-- kept as its SHA-256 only.

create table shares (
    id          text primary key,
    org_id      text        not null,
    snapshot_id text        not null references snapshots on delete cascade,
    name        text        not null,               -- whom it is for
    hash        bytea       not null unique,
    decides     boolean     not null default false, -- suggestions can be accepted and rejected by it
    made_by     text        not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    used_at     timestamptz,
    foreign key (org_id) references organizations (id) on delete cascade
);
create index shares_of_snapshot on shares (snapshot_id);

-- While it is set, the session sees what the link shows and nothing else.
alter table sessions add column share_id text references shares on delete set null;
create index sessions_of_share on sessions (share_id) where share_id is not null;

-- +goose Down
alter table sessions drop column share_id;
drop table shares;
