-- +goose Up
-- A second factor of accounts: one-time codes by time (RFC 6238). All of it belongs to a person, in whatever organizations they are.

create table second_factors (
    id            text primary key,
    person_id     text        not null unique references people on delete cascade,
    secret        bytea,                            -- sealed; null where a restore had no key for it: recovery codes are left then
    confirmed_at  timestamptz,                      -- null while it is being set up
    last_step     bigint      not null default 0,   -- of the code that was taken last, in 30 s since 1970: none is taken twice
    created_at    timestamptz not null default now()
);

-- Each lets its person in once, without the phone.
create table recovery_codes (
    factor_id     text        not null references second_factors on delete cascade,
    salt          bytea       not null,
    hash          bytea       not null,
    used_at       timestamptz,
    primary key (factor_id, salt)
);

-- Who has shown the password and not yet the second factor; the browser holds the code whose SHA-256 this is.
create table half_sign_ins (
    hash          bytea primary key,
    person_id     text        not null references people on delete cascade,
    begins_in     text        not null default '', -- organization; '' is the one that they have been in longest
    how           text        not null,            -- what they have shown, for the log
    expires_at    timestamptz not null
);
create index half_sign_ins_of_person on half_sign_ins (person_id);

-- Whom an organization asks for a second factor, of those who sign in with a password.
alter table organizations add column second_factor text not null default 'nobody' check (second_factor in ('nobody', 'publishers', 'everybody'));

-- +goose Down
alter table organizations drop column second_factor;
drop table half_sign_ins, recovery_codes, second_factors;
