-- +goose Up
-- Addresses that are told when a publish or another job has ended. The secret that signs what is sent is sealed.
create table webhooks (
    id            text primary key,
    org_id        text        not null references organizations (id) on delete cascade,
    address       text        not null,
    events        text[]      not null,
    secret        bytea       not null,
    active        boolean     not null default true,
    failing_since timestamptz,                      -- of the first try in a row that failed
    stopped_at    timestamptz,                      -- the program switched it off
    stopped_words text        not null default '',  -- and why
    created_by    text        not null default '',
    created_at    timestamptz not null default now(),
    unique (org_id, id)
);

-- What is to be told, one row for each address, written in the transaction that ends the job. The id is sent with every try.
create table webhook_deliveries (
    id            text primary key,
    org_id        text        not null,
    webhook_id    text        not null,
    event         text        not null,
    body          text        not null,
    state         text        not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    tries         int         not null default 0,
    next_at       timestamptz default clock_timestamp(), -- of the next try, while it waits
    claimed_until timestamptz,                           -- somebody is sending it
    status        int         not null default 0,        -- of the last answer; 0 is none
    words         text        not null default '',       -- why the last try failed
    created_at    timestamptz not null default clock_timestamp(),
    tried_at      timestamptz,
    ended_at      timestamptz,
    foreign key (org_id, webhook_id) references webhooks (org_id, id) on delete cascade
);
create index webhook_deliveries_due on webhook_deliveries (next_at) where state = 'waiting';
create index webhook_deliveries_of_webhook on webhook_deliveries (org_id, webhook_id, created_at desc);
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where state <> 'waiting';

-- +goose Down
drop table webhook_deliveries, webhooks;
