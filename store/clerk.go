package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// ClerkMember is a person in an organization, as a session token of Clerk's says.
type ClerkMember struct {
	User, Org string // ids at Clerk; Org "" is the person's own organization
	Role      core.Role
	At        time.Time // of the token
	// Names asks how they are called, on first sight.
	Names func(ctx context.Context) (person, email, org string)
}

// orgID gives what an organization is known by; a person's own by the person.
func (m ClerkMember) orgID() string {
	if m.Org == "" {
		return m.User
	}
	return m.Org
}

// ClerkActor gives the actor of a session at Clerk. Person, organization and membership are kept from the first sight on; the newest word on a
// role counts, the token's or a webhook's. Codes: Unauthorized (they left after the token was made).
func (s *Store) ClerkActor(ctx context.Context, m ClerkMember) (core.Actor, error) {
	by, at, err := s.clerkMember(ctx, s.pool, m)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && by.Role != m.Role && m.At.After(at) {
		return s.mirrorClerk(ctx, m)
	}
	if err != nil {
		return core.Actor{}, mapError(fmt.Errorf("clerk member: %w", err))
	}
	by.Role = min(by.Role, max(m.Role, core.Viewer))
	return by, nil
}

// clerkMember gives a member as they are kept, and of when the role is.
func (s *Store) clerkMember(ctx context.Context, q querier, m ClerkMember) (core.Actor, time.Time, error) {
	by := core.Actor{Kind: core.KindPerson}
	var role string
	var at time.Time
	err := q.QueryRow(ctx, `/* every organization: the session says whose it is */
		select o.id, p.id, p.name, m.role, coalesce(m.clerk_at, 'epoch') from people p
		join members m on m.person_id = p.id join organizations o on o.id = m.org_id where p.clerk_id = $1 and o.clerk_id = $2`, m.User, m.orgID()).
		Scan(&by.Org, &by.Person, &by.Name, &role, &at)
	by.Role = core.RoleNamed(role)
	return by, at, err
}

func (s *Store) mirrorClerk(ctx context.Context, m ClerkMember) (core.Actor, error) {
	person, email, org := m.Names(ctx) // before the transaction: it asks Clerk
	var by core.Actor
	err := s.tx(ctx, core.Actor{Kind: core.KindPerson}, func(tx pgx.Tx) error {
		p, err := keepClerkPerson(ctx, tx, m.User, orText(person, "A member"), email, time.Time{})
		if err != nil {
			return err
		}
		o, err := keepClerkOrganization(ctx, tx, m.orgID(), orText(org, orText(person, "Organization")), time.Time{})
		if err != nil {
			return err
		}
		if err := keepClerkMember(ctx, tx, o, p, m.Role, m.At); err != nil {
			return err
		}
		by, _, err = s.clerkMember(ctx, tx, m)
		if errors.Is(err, pgx.ErrNoRows) {
			return core.Errorf(core.Unauthorized, "You are no member of this organization any more.")
		}
		if err == nil {
			by.Role = min(by.Role, max(m.Role, core.Viewer))
		}
		return err
	})
	return by, err
}

// keepClerkPerson keeps what is known of a user unless something newer is; the zero time is of nobody's word and changes nothing that is there.
func keepClerkPerson(ctx context.Context, tx pgx.Tx, clerkID, name, email string, at time.Time) (id string, err error) {
	err = tx.QueryRow(ctx, `insert into people as p (id, name, email, clerk_id, clerk_at)
		values ($1, $2, (select nullif($3, '') where not exists (select from people q where lower(q.email) = lower($3) and q.clerk_id is distinct from $4)), $4, $5)
		on conflict (clerk_id) do update set name = case when excluded.clerk_at > coalesce(p.clerk_at, 'epoch') then excluded.name else p.name end,
			email = case when excluded.clerk_at > coalesce(p.clerk_at, 'epoch') then excluded.email else p.email end, clerk_at = greatest(p.clerk_at, excluded.clerk_at)
		returning id`, core.NewID("per"), cut(name, 100), email, clerkID, orNoTime(at)).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("keep person: %w", err)
	}
	return id, nil
}

func keepClerkOrganization(ctx context.Context, tx pgx.Tx, clerkID, name string, at time.Time) (id string, err error) {
	err = tx.QueryRow(ctx, `insert into organizations as o (id, name, clerk_id, clerk_at) values ($1, $2, $3, $4)
		on conflict (clerk_id) do update set name = case when excluded.clerk_at > coalesce(o.clerk_at, 'epoch') then excluded.name else o.name end,
			clerk_at = greatest(o.clerk_at, excluded.clerk_at)
		returning id`, core.NewID("org"), cut(name, 100), clerkID, orNoTime(at)).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("keep organization: %w", err)
	}
	return id, nil
}

func orNoTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// keepClerkMember keeps a role unless something newer is known: another one, or that the person left.
func keepClerkMember(ctx context.Context, tx pgx.Tx, org, person string, role core.Role, at time.Time) error {
	_, err := tx.Exec(ctx, `insert into members (org_id, person_id, role, clerk_at)
		select $1, $2, $3, $4::timestamptz where not exists (select from clerk_left l where l.org_id = $1 and l.person_id = $2 and l.at >= $4)
		on conflict (org_id, person_id) do update set role = excluded.role, clerk_at = excluded.clerk_at where excluded.clerk_at > coalesce(members.clerk_at, 'epoch')`,
		org, person, role.String(), at)
	if err != nil {
		return fmt.Errorf("keep member: %w", err)
	}
	return nil
}

// ClerkChange is what Clerk told of.
type ClerkChange struct {
	Message     string // id of the webhook
	Type        string // user.updated …
	User, Org   string // ids at Clerk
	Name, Email string
	Role        core.Role
	At          time.Time // of the change
}

// ApplyClerk takes over a change that Clerk told of, once. Who left is out at once, with their API tokens.
func (s *Store) ApplyClerk(ctx context.Context, c ClerkChange) error {
	return s.tx(ctx, core.System(""), func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into clerk_events (id) values ($1) on conflict do nothing`, c.Message)
		if err != nil {
			return fmt.Errorf("clerk event: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil // done before
		}
		if _, err := tx.Exec(ctx, `delete from clerk_events where at < now() - interval '30 days'`); err != nil {
			return fmt.Errorf("clerk event: %w", err)
		}
		return applyClerk(ctx, tx, c)
	})
}

func applyClerk(ctx context.Context, tx pgx.Tx, c ClerkChange) error {
	var err error
	switch c.Type {
	case "user.created", "user.updated":
		_, err = keepClerkPerson(ctx, tx, c.User, orText(c.Name, "A member"), c.Email, c.At)
	case "organization.created", "organization.updated":
		_, err = keepClerkOrganization(ctx, tx, c.Org, orText(c.Name, "Organization"), c.At)
	case "organizationMembership.created", "organizationMembership.updated":
		var org, person string
		err = tx.QueryRow(ctx, `select o.id, p.id from organizations o, people p where o.clerk_id = $1 and p.clerk_id = $2`, c.Org, c.User).Scan(&org, &person)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // they are kept on first sight
		}
		if err == nil {
			err = keepClerkMember(ctx, tx, org, person, c.Role, c.At)
		}
	case "organizationMembership.deleted":
		err = clerkLeft(ctx, tx, `o.clerk_id = $1 and p.clerk_id = $2`, c.Org, c.User)
	case "user.deleted":
		err = clerkLeft(ctx, tx, `p.clerk_id = $1`, c.User)
	case "organization.deleted":
		err = clerkLeft(ctx, tx, `o.clerk_id = $1`, c.Org)
	}
	return err
}

// clerkLeft takes members out and notes when.
func clerkLeft(ctx context.Context, tx pgx.Tx, where string, args ...any) error {
	_, err := tx.Exec(ctx, `/* every organization: those that Clerk names */
		with gone as (delete from members m using organizations o, people p where o.id = m.org_id and p.id = m.person_id and o.clerk_id is not null and p.clerk_id is not null and `+where+`
			returning m.org_id, m.person_id, m.role),
		noted as (insert into audit_log (org_id, person_id, kind, act, target) select org_id, '', 'system', 'member removed', person_id from gone)
		insert into clerk_left (org_id, person_id, at) select org_id, person_id, clock_timestamp() from gone
		on conflict (org_id, person_id) do update set at = excluded.at`, args...)
	if err != nil {
		return fmt.Errorf("who left: %w", err)
	}
	return nil
}

// endedKept is how long the end of a session at Clerk is remembered: longer than any of its tokens lasts.
const endedKept = 15 * time.Minute

// ClerkSessionEnds notes that a session at Clerk has ended: its tokens let nobody in any more.
func (s *Store) ClerkSessionEnds(ctx context.Context, session string) error {
	if s.sessions == nil || session == "" {
		return nil
	}
	if err := s.sessions.Set(ctx, "clerk-ended:"+session, "1", endedKept).Err(); err != nil {
		return core.Wrap(err, core.Unavailable, "That could not be noted. Try again in a moment.")
	}
	return nil
}

// ClerkSessionEnded says whether a session was noted as ended. Where Redis does not answer its last token lasts for what is left of its minute.
func (s *Store) ClerkSessionEnded(ctx context.Context, session string) bool {
	return s.sessions != nil && s.sessions.Exists(ctx, "clerk-ended:"+session).Val() > 0
}
