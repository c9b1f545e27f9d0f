package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"scratchpaper/internal/core"
)

// RecordTitle is how a record is called, and how a reference cell holds it.
type RecordTitle struct {
	Reference string // its remote id, or "~" and its _id while it has none
	Title     string
	Picture   string // the address of its first image; "" is none
}

// referenceSQL gives what a reference to record r holds.
var referenceSQL = "coalesce(" + referenceOf("r._remote_id") + ", '~' || r._id)"

// Titles says how the records are called that reference cells to a table hold; those that are not there are absent. Codes: NotFound.
func (s *Store) Titles(ctx context.Context, by core.Actor, ref TableRef, references []string) (map[string]RecordTitle, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	remote, ours := []string{}, []int64{}
	for _, r := range references {
		own, found := strings.CutPrefix(r, "~")
		id, err := strconv.ParseInt(own, 10, 64)
		if found && err == nil {
			ours = append(ours, id)
			continue
		}
		remote = append(remote, own)
	}
	list, err := s.titles(ctx, t, "r._remote_id = any($1) or r._id = any($2)", remote, ours)
	out := make(map[string]RecordTitle, len(list))
	for _, r := range list {
		out[r.Reference] = r
	}
	return out, err
}

// SearchTitles gives records of a table that can be referred to and whose title or remote id holds a text, those that begin
// with it first. Codes: NotFound.
func (s *Store) SearchTitles(ctx context.Context, by core.Actor, ref TableRef, search string, limit int) ([]RecordTitle, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	title, begins := titleSQL(t)+` collate "und-x-icu"`, likeEscape(search)+"%"
	return s.titles(ctx, t, `r._state in (0, 1) and (`+title+` ilike $1 or r._remote_id ilike $1)
		order by not (`+title+` ilike $2 or r._remote_id ilike $2), `+title+`, r._id limit $3`, "%"+begins, begins, limit)
}

func (s *Store) titles(ctx context.Context, t Table, rest string, args ...any) ([]RecordTitle, error) {
	rows, err := s.pool.Query(ctx, "select "+referenceSQL+", "+titleSQL(t)+", "+pictureSQL(t)+" from "+dataTable(t)+" r where "+rest, append([]any{dynamic}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("titles: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RecordTitle])
	return list, mapError(err)
}
