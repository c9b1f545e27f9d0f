-- +goose Up
-- A snapshot that is refreshed once a day by itself. Whoever moves next_at on makes the job in the same transaction, so a time is done
-- once, whichever processes run; what was missed meanwhile is done once.
create table schedules (
    org_id      text        not null,
    snapshot_id text        not null,
    minute      int         not null check (minute between 0 and 1439), -- of the day, in the zone
    zone        text        not null,                                   -- as in Europe/Brussels
    next_at     timestamptz not null,
    person_id   text        not null default '',                        -- who said so
    who         text        not null default '',
    started_at  timestamptz,                                            -- the last time
    job_id      text,
    words       text        not null default '',                        -- why the last time made no job
    primary key (org_id, snapshot_id),
    foreign key (org_id, snapshot_id) references snapshots (org_id, id) on delete cascade
);
create index schedules_due on schedules (next_at);

-- +goose Down
drop table schedules;
