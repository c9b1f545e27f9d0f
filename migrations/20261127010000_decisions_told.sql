-- +goose Up
-- When who asked for an approval has seen what was decided. What was decided before this is not told any more.
alter table approvals add column told_at timestamptz;
update approvals set told_at = now() where decided_at is not null;

-- +goose Down
alter table approvals drop column told_at;
