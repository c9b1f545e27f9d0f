-- +goose Up
-- The secret that a webhook had before: until it ends, what is sent is signed with both. It is sealed.
alter table webhooks add column secret_before bytea, add column before_until timestamptz;

-- +goose Down
alter table webhooks drop column secret_before, drop column before_until;
