package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// The states of an approval.
const (
	ApprovalAsked    = "asked"
	ApprovalApproved = "approved"
	ApprovalSentBack = "sent back"
)

// Approval is where a plan stands that a second person looks at before it is published.
type Approval struct {
	Plan, Snapshot, SnapshotName string
	State                        string // asked, approved, sent back; "" is not asked
	Deletes                      bool   // the deletes are asked for too
	Authors                      []string
	AuthorNames                  []string
	AskedBy, AskedWho            string
	AskedAt                      time.Time
	DecidedWho                   string
	DecidedAt                    *time.Time
	Note                         string // why it was sent back
}

// Holds says whether the plan has to stay as it is.
func (a Approval) Holds() bool { return a.State == ApprovalAsked || a.State == ApprovalApproved }

// MayDecide gives an error unless an actor may approve: a person who may publish and is none of the authors. Codes: Forbidden.
func (a Approval) MayDecide(by core.Actor) error {
	if err := by.May(core.Approve); err != nil {
		return err
	}
	if slices.Contains(a.Authors, by.Person) {
		return core.Errorf(core.Forbidden, "You made this plan or edited last what is in it, so somebody else has to approve it: a publisher or admin of the organization.")
	}
	return nil
}

const approvalColumns = `a.plan_id, a.snapshot_id, s.name, a.state, a.deletes, a.authors,
	(select coalesce(array_agg(p.name order by p.name), '{}') from people p where p.id = any(a.authors)), a.asked_by, a.asked_who, a.asked_at, a.decided_who, a.decided_at, a.note
	from approvals a join snapshots s on s.org_id = a.org_id and s.id = a.snapshot_id where a.org_id = $1 `

func scanApproval(row pgx.CollectableRow) (Approval, error) {
	var a Approval
	err := row.Scan(&a.Plan, &a.Snapshot, &a.SnapshotName, &a.State, &a.Deletes, &a.Authors, &a.AuthorNames, &a.AskedBy, &a.AskedWho, &a.AskedAt, &a.DecidedWho, &a.DecidedAt, &a.Note)
	return a, err
}

// ApprovalOf gives where a plan stands; one that nobody was asked about is the zero Approval.
func (s *Store) ApprovalOf(ctx context.Context, by core.Actor, p Plan) (Approval, error) {
	a, err := approvalOf(ctx, s.pool, by.Org, p.ID)
	return a, mapError(err)
}

func approvalOf(ctx context.Context, q querier, org, plan string) (Approval, error) {
	rows, err := q.Query(ctx, `select `+approvalColumns+`and a.plan_id = $2`, org, plan)
	if err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanApproval)
	if errors.Is(err, pgx.ErrNoRows) {
		return Approval{Plan: plan}, nil
	}
	return a, err
}

// WaitingApprovals lists the plans that wait for a second person, the longest first.
func (s *Store) WaitingApprovals(ctx context.Context, by core.Actor) ([]Approval, error) {
	rows, err := s.pool.Query(ctx, `select `+approvalColumns+`and a.state = 'asked' order by a.asked_at, a.plan_id`, by.Org)
	if err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	return pgx.CollectRows(rows, scanApproval)
}

// AskApproval asks for a second person's approval of a plan as it is now: what changed since it was made is left out first. Until it is
// decided or taken back the plan stays as it is. Codes: NotFound, Forbidden, Conflict (it needs none, or has it, or nothing is left to send).
func (s *Store) AskApproval(ctx context.Context, by core.Actor, snapshot, plan string, deletes bool) (Plan, error) {
	return s.changeApproval(ctx, by, core.Edit, "approval.ask", snapshot, plan, func(tx pgx.Tx, snap Snapshot, a Approval) error {
		o, err := organizationSettings(ctx, tx, by.Org)
		switch {
		case err != nil:
			return err
		case !o.SecondPerson:
			return core.Errorf(core.Conflict, "This organization publishes without a second person. Publish the plan.")
		case a.State == ApprovalAsked && a.Deletes == deletes:
			return nil
		case a.Holds():
			return core.Errorf(core.Conflict, "This plan has been asked about already. Take the request back to ask for something else.")
		}
		p, err := s.lookAgain(ctx, tx, snap, plan)
		if err != nil {
			return err
		}
		if p.Counts.Planned == 0 {
			return core.Errorf(core.Conflict, "Nothing of this plan is left to send. Tick some records, or make a new plan.")
		}
		authors, err := authorsTx(ctx, tx, by, snap, plan)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into approvals (org_id, plan_id, snapshot_id, state, deletes, authors, asked_by, asked_who) values ($1, $2, $3, 'asked', $4, $5, $6, $7)
			on conflict (org_id, plan_id) do update set state = 'asked', deletes = excluded.deletes, authors = excluded.authors, asked_by = excluded.asked_by,
				asked_who = excluded.asked_who, asked_at = now(), decided_by = '', decided_who = '', decided_at = null, note = '', told_at = null`,
			by.Org, plan, snap.ID, deletes, authors, by.Person, by.Name); err != nil {
			return fmt.Errorf("ask for approval: %w", err)
		}
		return auditTx(ctx, tx, by, "approval asked for", plan, map[string]string{"snapshot": snap.ID, "name": snap.Name})
	})
}

// authorsTx gives the people who made a plan or edited last a cell or record that it sends. What a refresh or a publish wrote is nobody's
// edit; what a token edited, its person did.
func authorsTx(ctx context.Context, tx pgx.Tx, by core.Actor, snap Snapshot, plan string) ([]string, error) {
	rows, err := tx.Query(ctx, `select distinct coalesce(tp.person_id, x.person_id) from (
			select p.person_id from `+ident(snap.Schema, "_plans")+` p where p.id = $2
			union
			select person_id from (
				select distinct on (ch.row, ch.col) b.person_id
				from `+ident(snap.Schema, "_publish_items")+` i
				join `+ident(snap.Schema, "_changes")+` ch on ch.row = i.record and (ch.col = 0 or i.fields ? ch.col::text)
				join `+ident(snap.Schema, "_batches")+` b on b.id = ch.batch and b.kind not in ('download', 'refresh', 'publish')
				where i.plan = $2 and i.state = 'planned'
				order by ch.row, ch.col, ch.batch desc) last) x
		left join token_people tp on tp.org_id = $1 and tp.token_id = x.person_id
		where x.person_id <> ''`, dynamic, by.Org, plan)
	if err != nil {
		return nil, fmt.Errorf("authors: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Approve says that a plan may be published as it is. Codes: NotFound, Forbidden (an author of it; a token), Conflict (it does not wait).
func (s *Store) Approve(ctx context.Context, by core.Actor, snapshot, plan string) (Plan, error) {
	return s.decide(ctx, by, snapshot, plan, ApprovalApproved, "", func(a Approval) error { return a.MayDecide(by) })
}

// noteLength is how many characters of a reason are kept.
const noteLength = 1000

// SendBack says that a plan is not to be published as it is, and why; it can be changed and asked about again. Codes: NotFound, Forbidden,
// Invalid, Conflict (it does not wait).
func (s *Store) SendBack(ctx context.Context, by core.Actor, snapshot, plan, note string) (Plan, error) {
	note = strings.TrimSpace(note)
	if len([]rune(note)) > noteLength {
		return Plan{}, core.FieldErrorf("/note", "A reason has at most 1,000 characters.")
	}
	return s.decide(ctx, by, snapshot, plan, ApprovalSentBack, note, func(Approval) error { return nil })
}

// decide keeps what was decided, and tells who asked.
func (s *Store) decide(ctx context.Context, by core.Actor, snapshot, plan, state, note string, may func(Approval) error) (Plan, error) {
	var asked string
	p, err := s.changeApproval(ctx, by, core.Approve, "approval.decide", snapshot, plan, func(tx pgx.Tx, snap Snapshot, a Approval) error {
		if a.State == state && state == ApprovalApproved {
			return nil
		}
		if a.State != ApprovalAsked {
			return core.Errorf(core.Conflict, "This plan does not wait for an approval (any more).")
		}
		if err := may(a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update approvals set state = $3, decided_by = $4, decided_who = $5, decided_at = now(), note = $6 where org_id = $1 and plan_id = $2`,
			by.Org, plan, state, by.Person, by.Name, note); err != nil {
			return fmt.Errorf("decide: %w", err)
		}
		if err := tx.QueryRow(ctx, `select coalesce((select person_id from token_people where org_id = $1 and token_id = $2), $2)`, by.Org, a.AskedBy).Scan(&asked); err != nil {
			return fmt.Errorf("who asked: %w", err)
		}
		return auditTx(ctx, tx, by, "plan "+state, plan, map[string]string{"snapshot": snap.ID, "name": snap.Name, "asked for by": a.AskedWho})
	})
	if err == nil && asked != "" {
		s.notify.Notify(ctx, core.Hint{Org: by.Org, Person: asked, Kind: "decision", Actor: by.Person, Client: by.Client})
	}
	return p, err
}

// askedByMe is the condition on approvals that a person, or a token of theirs, asked.
const askedByMe = `(a.asked_by = $2 or a.asked_by in (select token_id from token_people where org_id = $1 and person_id = $2))`

// Decisions gives what others decided of the plans that a person asked about, and that they have not been told of yet: the newest five.
func (s *Store) Decisions(ctx context.Context, by core.Actor) ([]Approval, error) {
	rows, err := s.pool.Query(ctx, `select `+approvalColumns+`and a.decided_at is not null and a.told_at is null and a.decided_by <> $2 and `+askedByMe+`
		order by a.decided_at desc, a.plan_id limit 5`, by.Org, by.Person)
	if err != nil {
		return nil, mapError(fmt.Errorf("decisions: %w", err))
	}
	list, err := pgx.CollectRows(rows, scanApproval)
	return list, mapError(err)
}

// Told keeps that a person has been told what was decided of a plan that they asked about. Anybody else's stays as it is.
func (s *Store) Told(ctx context.Context, by core.Actor, plan string) error {
	tag, err := s.pool.Exec(ctx, `update approvals a set told_at = now() where a.org_id = $1 and a.plan_id = $3 and a.decided_at is not null and a.told_at is null and `+askedByMe,
		by.Org, by.Person, plan)
	if err != nil {
		return mapError(fmt.Errorf("told: %w", err))
	}
	if tag.RowsAffected() > 0 {
		s.notify.Notify(ctx, core.Hint{Org: by.Org, Person: by.Person, Kind: "decision", Actor: by.Person, Client: by.Client}) // their other tabs
	}
	return nil
}

// TakeBackApproval ends a request or an approval, so that the plan can be changed. Codes: NotFound, Forbidden, Conflict (there is none).
func (s *Store) TakeBackApproval(ctx context.Context, by core.Actor, snapshot, plan string) (Plan, error) {
	return s.changeApproval(ctx, by, core.Edit, "approval.back", snapshot, plan, func(tx pgx.Tx, snap Snapshot, a Approval) error {
		if !a.Holds() {
			return core.Errorf(core.Conflict, "This plan does not wait for an approval (any more).")
		}
		if _, err := tx.Exec(ctx, `delete from approvals where org_id = $1 and plan_id = $2`, by.Org, plan); err != nil {
			return fmt.Errorf("take back: %w", err)
		}
		return auditTx(ctx, tx, by, "approval taken back", plan, map[string]string{"snapshot": snap.ID, "name": snap.Name, "was": a.State})
	})
}

// changeApproval runs fn with the draft of a plan locked, and gives the plan as it is then.
func (s *Store) changeApproval(ctx context.Context, by core.Actor, act core.Act, point, snapshot, plan string, fn func(tx pgx.Tx, snap Snapshot, a Approval) error) (Plan, error) {
	if err := by.May(act); err != nil {
		return Plan{}, err
	}
	snap, err := s.SnapshotByID(ctx, by, snapshot)
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	err = s.tx(atPoint(ctx, point), by, func(tx pgx.Tx) error {
		if _, err := s.draftTx(ctx, tx, snap, plan); err != nil {
			return err
		}
		a, err := approvalOf(ctx, tx, by.Org, plan)
		if err != nil {
			return err
		}
		if err := fn(tx, snap, a); err != nil {
			return err
		}
		p, err = s.planTx(ctx, tx, snap, plan)
		return err
	})
	return p, err
}

// stillTx gives an error while a plan has to stay as it is. Codes: Conflict.
func stillTx(ctx context.Context, tx pgx.Tx, by core.Actor, plan string) error {
	a, err := approvalOf(ctx, tx, by.Org, plan)
	if err == nil && a.Holds() {
		return core.Errorf(core.Conflict, "A second person was asked to approve this plan as it is. Take the request back to change it.")
	}
	return err
}

// approvedTx gives an error unless a plan may be sent: where the organization wants a second person, one has approved it. who is that
// person, "" where none is needed. Codes: Conflict.
func approvedTx(ctx context.Context, tx pgx.Tx, by core.Actor, plan string, deletes bool) (who string, err error) {
	o, err := organizationSettings(ctx, tx, by.Org)
	if err != nil || !o.SecondPerson {
		return "", err
	}
	a, err := approvalOf(ctx, tx, by.Org, plan)
	switch {
	case err != nil:
		return "", err
	case a.State == ApprovalAsked:
		return "", core.Errorf(core.Conflict, "This plan waits for the approval of a second person. Nothing was sent.")
	case a.State != ApprovalApproved:
		return "", core.Errorf(core.Conflict, "This organization publishes what a second person has approved. Ask for the approval of this plan first; nothing was sent.")
	case deletes && !a.Deletes:
		return "", core.Errorf(core.Conflict, "The deletes of this plan were not asked about, so nobody approved them. Publish it without them, or take the approval back and ask again.")
	}
	return a.DecidedWho, nil
}
