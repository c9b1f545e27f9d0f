-- +goose Up
-- Who people are at an OpenID Connect provider. Belongs to a person, in whatever organizations they are.

create table identities (
    issuer      text        not null,
    subject     text        not null,
    person_id   text        not null references people on delete cascade,
    email       text        not null default '', -- as it was when they were recognised
    created_at  timestamptz not null default now(),
    primary key (issuer, subject)
);
create index identities_of_person on identities (person_id);

-- +goose Down
drop table identities;
