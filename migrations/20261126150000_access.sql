-- +goose Up
-- Who gets in: accounts with a password, their sessions, one-time codes, invitations, and the log of what mattered. What lets
-- somebody in is kept as its SHA-256 only.

create unique index people_email on people (lower(email)) where email is not null;

-- Belongs to a person, in whatever organizations they are.
create table accounts (
    person_id   text primary key references people on delete cascade,
    password    text        not null, -- argon2id, with its parameters
    changed_at  timestamptz not null default now()
);

create table sessions (
    id          text primary key,
    hash        bytea       not null unique,
    org_id      text        not null, -- that it acts in
    person_id   text        not null,
    address     text        not null default '',
    browser     text        not null default '',
    created_at  timestamptz not null default now(),
    seen_at     timestamptz not null default now(),
    expires_at  timestamptz not null,
    foreign key (org_id, person_id) references members (org_id, person_id) on delete cascade
);
create index sessions_of_person on sessions (person_id);

create table codes (
    hash        bytea primary key,
    org_id      text        not null references organizations on delete cascade,
    person_id   text        not null references people on delete cascade,
    purpose     text        not null check (purpose in ('setup', 'reset')),
    expires_at  timestamptz not null
);

create table invitations (
    id          text primary key,
    org_id      text        not null references organizations on delete cascade,
    email       text        not null,
    role        text        not null check (role in ('viewer', 'editor', 'publisher', 'admin')),
    hash        bytea       not null unique,
    invited_by  text        not null default '',
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null
);
create unique index invitations_of_address on invitations (org_id, lower(email));

-- Rows are added; only those past their time are taken away, by who says so.
create table audit_log (
    id          bigint generated always as identity primary key,
    org_id      text        not null references organizations on delete cascade,
    at          timestamptz not null default clock_timestamp(),
    person_id   text        not null default '',
    who         text        not null default '',
    kind        text        not null default '', -- person, token, agent, system
    act         text        not null,
    target      text        not null default '',
    details     jsonb       not null default '{}',
    address     text        not null default ''
);
create index audit_log_of_organization on audit_log (org_id, id desc);

-- +goose StatementBegin
create function audit_log_is_kept() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('scratchpaper.audit_sweep', true) = 'on' then
        return old;
    end if;
    raise exception 'the audit log is append-only';
end
$$;
-- +goose StatementEnd
create trigger audit_log_is_kept before update or delete on audit_log for each row execute function audit_log_is_kept();
create trigger audit_log_is_not_emptied before truncate on audit_log for each statement execute function audit_log_is_kept();

-- +goose Down
drop table audit_log, invitations, codes, sessions, accounts;
drop function audit_log_is_kept;
drop index people_email;
