package store

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// SavedView is a view with a name, of a table, for everybody of the organization.
type SavedView struct {
	ID        string
	Table     string
	Name      string
	View      ViewDefinition
	CreatedBy string
	CreatedAt time.Time
}

// ViewDefinition is what a saved view keeps: which records, in which order, and which columns of them.
type ViewDefinition struct {
	Filter  string       `json:"filter,omitempty"`
	Find    string       `json:"find,omitempty"`
	Sort    []SortKey    `json:"sort,omitempty"`
	Columns []ViewColumn `json:"columns"` // in order; null is all, as the table has them
	Frozen  int          `json:"frozen,omitempty"`
}

// ViewColumn is a column of a saved view.
type ViewColumn struct {
	Column int `json:"column"`
	Width  int `json:"width,omitempty"` // px; 0 is the column's own
}

// ViewEdit is what changes of a saved view; nil stays as it is.
type ViewEdit struct {
	Name *string
	View *ViewDefinition
}

const viewColumns = `v.id, v.table_id, v.name, v.definition, v.created_by, v.created_at`

func scanView(row pgx.CollectableRow) (SavedView, error) {
	var v SavedView
	err := row.Scan(&v.ID, &v.Table, &v.Name, &v.View, &v.CreatedBy, &v.CreatedAt)
	return v, err
}

// Views gives the saved views of a table, oldest first. Codes: NotFound.
func (s *Store) Views(ctx context.Context, by core.Actor, ref TableRef) ([]SavedView, error) {
	if _, err := s.TableByID(ctx, by, ref); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select `+viewColumns+` from views v where v.org_id = $1 and v.table_id = $2 order by v.created_at, v.id`, by.Org, ref.Table)
	if err != nil {
		return nil, fmt.Errorf("views: %w", err)
	}
	return pgx.CollectRows(rows, scanView)
}

// ViewByID gives a saved view of a table. Codes: NotFound.
func (s *Store) ViewByID(ctx context.Context, by core.Actor, ref TableRef, id string) (SavedView, error) {
	rows, err := s.pool.Query(ctx, `select `+viewColumns+` from views v join tables t on t.org_id = v.org_id and t.id = v.table_id
		where v.org_id = $1 and v.id = $2 and t.id = $3 and t.snapshot_id = $4`, by.Org, id, ref.Table, ref.Snapshot)
	if err != nil {
		return SavedView{}, fmt.Errorf("view: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanView)
	return v, mapError(err)
}

// CreateView saves a view. Codes: NotFound, Forbidden, Invalid.
func (s *Store) CreateView(ctx context.Context, by core.Actor, ref TableRef, name string, d ViewDefinition) (SavedView, error) {
	if err := by.Require(core.Editor); err != nil {
		return SavedView{}, err
	}
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return SavedView{}, err
	}
	if name, err = viewName(name); err != nil {
		return SavedView{}, err
	}
	if err := d.check(t); err != nil {
		return SavedView{}, err
	}
	var id string
	if done, err := doneBefore(ctx, "view", &id); err != nil || done {
		return s.knownView(ctx, by, ref, id, err)
	}
	id = core.NewID("viw")
	err = s.tx(atPoint(ctx, "view"), by, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into views (id, org_id, table_id, name, definition, created_by) values ($1, $2, $3, $4, $5, $6)`,
			id, by.Org, t.ID, name, d, by.Name)
		if err != nil {
			return fmt.Errorf("insert view: %w", err)
		}
		return keepDone(ctx, tx, by, "view", id)
	})
	return s.knownView(ctx, by, ref, id, err)
}

func (s *Store) knownView(ctx context.Context, by core.Actor, ref TableRef, id string, err error) (SavedView, error) {
	if err != nil {
		return SavedView{}, err
	}
	return s.ViewByID(ctx, by, ref, id)
}

// EditView changes a saved view. Codes: NotFound, Forbidden, Invalid.
func (s *Store) EditView(ctx context.Context, by core.Actor, ref TableRef, id string, e ViewEdit) (SavedView, error) {
	if err := by.Require(core.Editor); err != nil {
		return SavedView{}, err
	}
	v, err := s.ViewByID(ctx, by, ref, id)
	if err != nil {
		return SavedView{}, err
	}
	if e.Name != nil {
		if v.Name, err = viewName(*e.Name); err != nil {
			return SavedView{}, err
		}
	}
	if e.View != nil {
		t, err := s.TableByID(ctx, by, ref)
		if err != nil {
			return SavedView{}, err
		}
		if err := e.View.check(t); err != nil {
			return SavedView{}, err
		}
		v.View = *e.View
	}
	_, err = s.pool.Exec(ctx, `update views set name = $3, definition = $4 where org_id = $1 and id = $2`, by.Org, id, v.Name, v.View)
	if err != nil {
		return SavedView{}, fmt.Errorf("edit view: %w", err)
	}
	return s.ViewByID(ctx, by, ref, id)
}

// DeleteView forgets a saved view. Codes: NotFound, Forbidden.
func (s *Store) DeleteView(ctx context.Context, by core.Actor, ref TableRef, id string) error {
	if err := by.Require(core.Editor); err != nil {
		return err
	}
	if _, err := s.ViewByID(ctx, by, ref, id); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `delete from views where org_id = $1 and id = $2`, by.Org, id)
	return mapError(err)
}

func viewName(name string) (string, error) {
	name = strings.TrimSpace(storable(name))
	if name == "" || utf8.RuneCountInString(name) > maxTitle {
		return "", core.FieldErrorf("/name", "Give the view a name of at most %d characters.", maxTitle)
	}
	return name, nil
}

// check looks whether a table can be seen so. The columns are known to be the table's.
func (d ViewDefinition) check(t Table) error {
	if f := strings.TrimSpace(d.Filter); f != "" {
		if _, err := expr.CompileFilter(f, t.Columns); err != nil {
			return core.FieldErrorf("/filter", "%s", core.SentenceOf(err))
		}
	}
	seen := map[int]bool{}
	for i, c := range d.Columns {
		if seen[c.Column] {
			return core.FieldErrorf(fmt.Sprintf("/columns/%d/id", i), "This column is named twice.")
		}
		seen[c.Column] = true
		if c.Width < 0 || c.Width > maxWidth {
			return core.FieldErrorf(fmt.Sprintf("/columns/%d/width", i), "A column is at most %d pixels wide; 0 is its own width.", maxWidth)
		}
	}
	shown := len(t.Columns)
	if d.Columns != nil {
		shown = len(d.Columns)
	}
	if d.Frozen < 0 || d.Frozen > shown {
		return core.FieldErrorf("/frozen", "There are %d columns to freeze.", shown)
	}
	return nil
}
