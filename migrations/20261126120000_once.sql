-- +goose Up
-- What a request with an Idempotency-Key did stands in its key from the transaction on that did it: after a crash, or an
-- answer that was lost, the same request is answered from it and does nothing twice.
alter table idempotency_keys
    add column attempt  int         not null default 1, -- only the newest may commit
    add column begun_at timestamptz not null default now(),
    add column done     jsonb       not null default '[]'; -- {kind, value} of each effect, in order

-- +goose Down
alter table idempotency_keys drop column attempt, drop column begun_at, drop column done;
