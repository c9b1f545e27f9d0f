-- +goose Up
-- The trace of the request that made a job goes on in the job; without a collector it is empty.
alter table jobs add column traceparent text not null default '';

-- +goose Down
alter table jobs drop column traceparent;
