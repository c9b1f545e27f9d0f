-- +goose Up
-- Publishing by two people: an organization may ask that somebody approves a plan who neither made it nor edited what is in it.

alter table organizations add column second_person boolean not null default false;

-- Where plans stand that somebody was asked to approve. A plan that has no row was not asked about, or the request was taken back.
create table approvals (
    org_id      text        not null references organizations on delete cascade,
    plan_id     text        not null,
    snapshot_id text        not null references snapshots on delete cascade,
    state       text        not null check (state in ('asked', 'approved', 'sent back')),
    deletes     boolean     not null default false, -- the deletes are asked for too
    authors     text[]      not null,               -- people who made the plan, or edited last what is in it
    asked_by    text        not null,
    asked_who   text        not null,
    asked_at    timestamptz not null default now(),
    decided_by  text        not null default '',
    decided_who text        not null default '',
    decided_at  timestamptz,
    note        text        not null default '',    -- why it was sent back
    primary key (org_id, plan_id)
);
create index approvals_of_snapshot on approvals (snapshot_id);

-- Whose a token is, also after it was revoked: what a token edited, its person did.
create table token_people (
    org_id      text not null references organizations on delete cascade,
    token_id    text not null,
    person_id   text not null,
    primary key (org_id, token_id)
);
insert into token_people (org_id, token_id, person_id)
    select org_id, target, person_id from audit_log where act = 'token made'
    union select org_id, id, person_id from api_tokens;

-- +goose Down
drop table token_people, approvals;
alter table organizations drop column second_person;
