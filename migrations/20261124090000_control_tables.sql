-- +goose Up
-- The control tables. Every table below organizations and people belongs to an organization and is asked for with one.

create table organizations (
    id          text primary key,
    name        text        not null,
    settings    jsonb       not null default '{}',
    created_at  timestamptz not null default now()
);

create table people (
    id          text primary key,
    name        text        not null,
    email       text,
    created_at  timestamptz not null default now()
);

create table members (
    org_id      text        not null references organizations on delete cascade,
    person_id   text        not null references people on delete cascade,
    role        text        not null check (role in ('viewer', 'editor', 'publisher', 'admin')),
    created_at  timestamptz not null default now(),
    primary key (org_id, person_id)
);

create table connections (
    id           text primary key,
    org_id       text        not null references organizations on delete cascade,
    connector    text        not null,
    name         text        not null,
    settings     jsonb       not null default '{}', -- what is not secret
    secrets      bytea,                             -- AEAD over a JSON object, bound to org, table and id
    sample       boolean     not null default false,
    health       text        not null default 'unknown', -- ok, failing, unknown
    health_words text        not null default '',        -- the service's own words
    checked_at   timestamptz,
    last_used_at timestamptz,
    created_by   text        not null default '',
    created_at   timestamptz not null default now(),
    unique (org_id, id)
);
create unique index connections_sample on connections (org_id) where sample;

create table snapshots (
    id          text primary key, -- also the name of the Postgres schema that holds its rows
    org_id      text        not null references organizations on delete cascade,
    name        text        not null,
    layout      int         not null,
    next_column int         not null default 1, -- column numbers are unique in the snapshot, for ever
    created_by  text        not null default '',
    created_at  timestamptz not null default now(),
    archived_at timestamptz,
    unique (org_id, id)
);

create table tables (
    id            text primary key,
    org_id        text        not null,
    snapshot_id   text        not null,
    connection_id text,
    remote_id     text        not null default '',
    title         text        not null,
    slug          text        not null,
    physical      text        not null,
    source        text        not null check (source in ('remote', 'file', 'local')),
    position      int         not null,
    writable      boolean     not null default false,
    creatable     boolean     not null default false,
    deletable     boolean     not null default false,
    why_not       text        not null default '',
    why_no_new    text        not null default '',
    why_no_del    text        not null default '',
    versioned     boolean     not null default false,
    remote        jsonb       not null default '{}',
    version       bigint      not null default 0,
    -- counts; null is not known
    records       bigint      default 0,
    edits         bigint      default 0,
    created       bigint      default 0,
    deleted       bigint      default 0,
    suggestions   bigint      default 0,
    conflicts     bigint      default 0,
    problems      bigint      default 0,
    downloaded_at timestamptz,
    created_at    timestamptz not null default now(),
    foreign key (org_id, snapshot_id) references snapshots (org_id, id) on delete cascade,
    foreign key (org_id, connection_id) references connections (org_id, id),
    unique (org_id, id),
    unique (snapshot_id, slug)
);

create table columns (
    org_id      text    not null,
    snapshot_id text    not null,
    table_id    text    not null,
    number      int     not null,
    slug        text    not null,
    title       text    not null,
    remote_id   text    not null default '',
    physical    text    not null,
    type        text    not null,
    options     jsonb   not null default '{}',
    source      text    not null check (source in ('remote', 'file', 'local', 'computed')),
    writable    boolean not null default true,
    insert_only boolean not null default false,
    why_not     text    not null default '',
    position    int     not null,
    width       int     not null default 0,
    primary key (snapshot_id, number),
    foreign key (org_id, table_id) references tables (org_id, id) on delete cascade,
    unique (table_id, slug)
);

create table views (
    id          text primary key,
    org_id      text        not null,
    table_id    text        not null,
    name        text        not null,
    definition  jsonb       not null default '{}',
    created_by  text        not null default '',
    created_at  timestamptz not null default now(),
    foreign key (org_id, table_id) references tables (org_id, id) on delete cascade
);

create table jobs (
    id            text primary key,
    org_id        text        not null references organizations on delete cascade,
    snapshot_id   text,
    connection_id text,
    kind          text        not null, -- download, refresh, publish, import, transform, accept …
    queue         text        not null default 'bulk' check (queue in ('interactive', 'bulk', 'scheduled')),
    state         text        not null default 'queued' check (state in ('queued', 'running', 'waiting', 'done', 'failed', 'cancelled')),
    label         text        not null,
    person_id     text        not null default '',
    person_name   text        not null default '',
    args          jsonb       not null default '{}',
    checkpoint    jsonb       not null default '{}',
    progress      jsonb       not null default '{}',
    result        jsonb,
    error         jsonb,                          -- {code, sentence}
    waiting_for   text        not null default '', -- person, time, connection, table
    not_before    timestamptz,
    owner         text        not null default '', -- who holds the lease
    lease_until   timestamptz,
    slices        int         not null default 0,  -- how often it was taken up
    failures      int         not null default 0,  -- slices that ended in a crash or a passing error, in a row
    cancel_asked  boolean     not null default false,
    enqueued_at   timestamptz,
    seen_at       timestamptz,                     -- a person has seen that it ended
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    unique (org_id, id)
);
create index jobs_open on jobs (queue, created_at) where state in ('queued', 'running', 'waiting');
create index jobs_recent on jobs (org_id, created_at desc);
-- Publishes and refreshes of one connection run one at a time, across snapshots too.
create unique index jobs_one_per_connection on jobs (connection_id)
    where state = 'running' and kind in ('publish', 'refresh', 'download');

create table uploads (
    id          text primary key,
    org_id      text        not null references organizations on delete cascade,
    person_id   text        not null default '',
    name        text        not null,
    bytes       bigint      not null default 0,
    complete    boolean     not null default false,
    options     jsonb       not null default '{}',
    created_at  timestamptz not null default now(),
    unique (org_id, id)
);

create table upload_chunks (
    org_id      text  not null,
    upload_id   text  not null,
    number      int   not null, -- from 0
    data        bytea not null,
    primary key (upload_id, number),
    foreign key (org_id, upload_id) references uploads (org_id, id) on delete cascade
);
alter table upload_chunks alter column data set storage external;

create table idempotency_keys (
    org_id      text        not null references organizations on delete cascade,
    key         text        not null,
    route       text        not null,
    hash        bytea       not null, -- of the request's body
    status      int,                  -- null while the first one is running
    body        bytea,
    created_at  timestamptz not null default now(),
    primary key (org_id, key)
);

-- Text sorts as people sort it, numbers inside by their value.
create collation natural_sort (provider = icu, locale = 'und-u-kn');

insert into organizations (id, name) values ('org_local', 'This computer');
insert into people (id, name) values ('per_local', 'You');
insert into members (org_id, person_id, role) values ('org_local', 'per_local', 'admin');

-- +goose Down
drop table idempotency_keys, upload_chunks, uploads, jobs, views, columns, tables, snapshots, connections, members, people, organizations;
drop collation natural_sort;
