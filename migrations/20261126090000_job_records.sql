-- +goose Up
-- The records that were chosen for a bulk job, where they are a list and not a filter: an order may be gone before the job ends.
create table job_records (
    org_id      text     not null,
    job_id      text     not null,
    part        int      not null,
    ids         bigint[] not null,
    primary key (job_id, part),
    foreign key (org_id, job_id) references jobs (org_id, id) on delete cascade
);

-- +goose Down
drop table job_records;
