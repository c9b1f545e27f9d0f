package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// TableEdit is what a person changes of a table's own description; nil stays as it is.
type TableEdit struct {
	Title       *string
	Description *string
	Columns     []ColumnEdit
}

// ColumnEdit is what changes of one column; nil stays as it is.
type ColumnEdit struct {
	Number      int          `json:"number"`
	Title       *string      `json:"title"`
	Description *string      `json:"description"`
	Locks       *[]core.Lock `json:"locks"`
	Width       *int         `json:"width"`
}

const (
	maxTitle       = 200
	maxDescription = 4000
	maxWidth       = 2000
)

// EditTable changes titles, descriptions, locks and widths of a table and its columns. The service is not told, and slugs
// stay. Codes: NotFound, Forbidden, Invalid.
func (s *Store) EditTable(ctx context.Context, by core.Actor, ref TableRef, e TableEdit) (Table, error) {
	if err := by.Require(core.Editor); err != nil {
		return Table{}, err
	}
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return Table{}, err
	}
	if err := e.check(t); err != nil {
		return Table{}, err
	}
	err = s.tx(ctx, by, func(tx pgx.Tx) error {
		if _, err := lockTable(ctx, tx, t); err != nil {
			return err
		}
		if err := editTable(ctx, tx, t, e); err != nil {
			return err
		}
		t, err = tableTx(ctx, tx, by, ref)
		return err
	})
	if err != nil {
		return Table{}, err
	}
	s.notify.Notify(ctx, core.Hint{Org: by.Org, Snapshot: ref.Snapshot, Table: ref.Table, Version: t.Version, Many: true, Kind: "change", Actor: by.Person, Client: by.Client})
	return t, nil
}

func editTable(ctx context.Context, tx pgx.Tx, t Table, e TableEdit) error {
	_, err := tx.Exec(ctx, `update tables set title = coalesce($3, title), description = coalesce($4, description) where org_id = $1 and id = $2`,
		t.Org, t.ID, e.Title, e.Description)
	if err != nil {
		return fmt.Errorf("edit table: %w", err)
	}
	if len(e.Columns) == 0 {
		return nil
	}
	raw, err := json.Marshal(e.Columns)
	if err != nil {
		return fmt.Errorf("edit columns: %w", err)
	}
	_, err = tx.Exec(ctx, `update columns c set title = coalesce(u.title, c.title), description = coalesce(u.description, c.description),
			locks = coalesce(u.locks, c.locks), width = coalesce(u.width, c.width)
		from jsonb_to_recordset($3) as u(number int, title text, description text, locks text[], width int)
		where c.org_id = $1 and c.table_id = $2 and c.number = u.number`, t.Org, t.ID, raw)
	if err != nil {
		return fmt.Errorf("edit columns: %w", err)
	}
	return nil
}

func (e *TableEdit) check(t Table) error {
	if err := checkTexts("", e.Title, e.Description); err != nil {
		return err
	}
	seen := map[int]bool{}
	for i := range e.Columns {
		c, pointer := &e.Columns[i], fmt.Sprintf("/columns/%d", i)
		if seen[c.Number] {
			return core.FieldErrorf(pointer+"/id", "This column is named twice.")
		}
		seen[c.Number] = true
		if err := c.check(t, pointer); err != nil {
			return err
		}
	}
	return nil
}

func (c *ColumnEdit) check(t Table, pointer string) error {
	col, ok := t.Column(c.Number)
	if !ok {
		return core.FieldErrorf(pointer+"/id", "There is no such column.")
	}
	if c.Width != nil && (*c.Width < 0 || *c.Width > maxWidth) {
		return core.FieldErrorf(pointer+"/width", "A column is at most %d pixels wide; 0 is the width of its type.", maxWidth)
	}
	if err := checkTexts(pointer, c.Title, c.Description); err != nil || c.Locks == nil {
		return err
	}
	slices.Sort(*c.Locks)
	*c.Locks = append([]core.Lock{}, slices.Compact(*c.Locks)...) // null would leave them as they are
	for _, l := range *c.Locks {
		if !slices.Contains(core.Locks, l) {
			return core.FieldErrorf(pointer+"/locks", "There is no lock “%s”; there are read_only and never_publish.", cut(string(l), 40))
		}
		if l == core.NeverPublish && col.Options.Key {
			return core.FieldErrorf(pointer+"/locks", "%s is part of the service's key: without it nothing could be published.", col.Title)
		}
	}
	return nil
}

// checkTexts trims a title and looks at the lengths of title and description.
func checkTexts(pointer string, title, description *string) error {
	if title != nil {
		*title = strings.TrimSpace(storable(*title))
		if *title == "" || utf8.RuneCountInString(*title) > maxTitle {
			return core.FieldErrorf(pointer+titleField(pointer), "Give it a title of at most %d characters.", maxTitle)
		}
	}
	if description != nil {
		*description = strings.TrimSpace(storable(*description))
		if utf8.RuneCountInString(*description) > maxDescription {
			return core.FieldErrorf(pointer+"/description", "A description has at most %d characters.", maxDescription)
		}
	}
	return nil
}

// titleField is what the title is called: a table has a name, a column a title.
func titleField(pointer string) string {
	if pointer == "" {
		return "/name"
	}
	return "/title"
}
