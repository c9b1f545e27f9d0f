package handlers

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// changesBody is a list of changes, or one that a where applies: that stands here or under changes.
type changesBody struct {
	As      string                     `json:"as" enum:"edit,suggestion"`
	Label   string                     `json:"label"`
	Atomic  bool                       `json:"atomic"`
	Reason  string                     `json:"reason"`
	Changes json.RawMessage            `json:"changes"`
	Op      string                     `json:"op" enum:"set,delete"`
	Where   *whereBody                 `json:"where"`
	Values  map[string]json.RawMessage `json:"values"`
}

// changeBody is one change of a list.
type changeBody struct {
	Op     string                     `json:"op" enum:"set,create,delete,undelete"`
	Record int64                      `json:"record"`
	Values map[string]json.RawMessage `json:"values"`
	Where  *whereBody                 `json:"where"`
}

// read gives the changes: many one by one, or one with a where that stands at a pointer.
func (b changesBody) read() (many []changeBody, one *changeBody, at string, err error) {
	raw := bytes.TrimSpace(b.Changes)
	switch {
	case b.Op != "" || b.Where != nil || b.Values != nil:
		if raw != nil {
			return nil, nil, "", core.FieldErrorf("/changes", "Give a list of changes, or one op with a “where”: not both.")
		}
		return nil, &changeBody{Op: b.Op, Where: b.Where, Values: b.Values}, "", nil
	case bytes.HasPrefix(raw, []byte("{")):
		one, at = &changeBody{}, "/changes"
		err = decodeJSON(raw, one)
	case bytes.HasPrefix(raw, []byte("[")):
		err = decodeJSON(raw, &many)
	default:
		return nil, nil, "", core.FieldErrorf("/changes", "changes takes a list of changes, or one with a “where”.")
	}
	if err != nil {
		return nil, nil, "", below("/changes", err)
	}
	for i, ch := range many {
		if ch.Where != nil && len(many) == 1 {
			return nil, &many[0], "/changes/0", nil
		}
		if ch.Where != nil {
			return nil, nil, "", core.FieldErrorf("/changes/"+itoa(i)+"/where", "A change with a “where” stands alone.")
		}
	}
	return many, one, at, nil
}

func (s *Server) postChanges(c echo.Context) error {
	var body changesBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.As == "" {
		body.As = "edit"
	}
	if body.As != "edit" && body.As != "suggestion" {
		return core.FieldErrorf("/as", "Say “edit” or “suggestion”.")
	}
	many, one, at, err := body.read()
	if err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	opts := store.ChangeOptions{Label: body.Label, Atomic: body.Atomic, Suggest: body.As == "suggestion", Reason: body.Reason}
	if one != nil {
		err := s.changeWhere(c, t, *one, opts)
		if core.CodeOf(err) == core.Invalid {
			return below(at, err)
		}
		return err
	}
	ch, refused := changesOf(t, many)
	nameless, err := s.store.ResolveReferences(ctx, by, t, &ch)
	if err != nil {
		return err
	}
	refused = append(refused, nameless...)
	if opts.Atomic && len(refused) > 0 {
		e := core.Errorf(core.Invalid, "Nothing was changed: %d of the changes cannot be made.", len(refused))
		for _, r := range refused {
			e.Fields = append(e.Fields, core.FieldError{Pointer: "/changes/" + itoa(r.Index), Detail: r.Reason})
		}
		return e
	}
	res, err := s.store.ApplyChanges(ctx, by, t.Ref(), ch, opts)
	if err != nil {
		return err
	}
	res.Refused = append(refused, res.Refused...)
	return c.JSON(http.StatusOK, resultOut(res))
}

// changesOf turns a request's changes into the store's, and names those whose values do not fit.
func changesOf(t store.Table, many []changeBody) (store.Changes, []store.Refusal) {
	var ch store.Changes
	var refused []store.Refusal
	for i, b := range many {
		switch b.Op {
		case "set", "create":
			values, bad := valuesOf(t, b.Values)
			for _, r := range bad {
				r.Index, r.Record = i, b.Record
				refused = append(refused, r)
			}
			if b.Op == "create" {
				if len(bad) == 0 {
					ch.Creates = append(ch.Creates, store.NewRecord{Values: values, Index: i})
				}
				continue
			}
			for n, v := range values {
				ch.Sets = append(ch.Sets, store.CellEdit{Record: b.Record, Column: n, Value: v, Index: i})
			}
		case "delete":
			ch.Deletes = append(ch.Deletes, store.RecordOp{Record: b.Record, Index: i})
		case "undelete":
			ch.Undeletes = append(ch.Undeletes, store.RecordOp{Record: b.Record, Index: i})
		default:
			refused = append(refused, store.Refusal{Index: i, Record: b.Record, Reason: "There is no operation “" + b.Op + "”: say set, create, delete or undelete."})
		}
	}
	return ch, refused
}

func valuesOf(t store.Table, raw map[string]json.RawMessage) (map[int]core.Value, []store.Refusal) {
	out := map[int]core.Value{}
	var refused []store.Refusal
	for _, slug := range slices.Sorted(maps.Keys(raw)) {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			refused = append(refused, store.Refusal{Slug: slug, Reason: "There is no column " + slug + "."})
			continue
		}
		v, err := core.FromAPI(col, raw[slug])
		if err != nil {
			refused = append(refused, store.Refusal{Slug: slug, Column: col.Number, Reason: core.SentenceOf(err)})
			continue
		}
		out[col.Number] = v
	}
	return out, refused
}

func (s *Server) changeWhere(c echo.Context, t store.Table, b changeBody, opts store.ChangeOptions) error {
	w, err := b.Where.records(t)
	if err != nil {
		return err
	}
	switch b.Op {
	case "set":
		values, refused := valuesOf(t, b.Values)
		if len(refused) > 0 {
			return core.FieldErrorf("/values/"+escapePointer(refused[0].Slug), "%s", refused[0].Reason)
		}
		if len(values) == 0 {
			return core.FieldErrorf("/values", "Say which values to set.")
		}
		as := store.Changes{Creates: []store.NewRecord{{Values: values}}}
		if refused, err = s.store.ResolveReferences(ctxOf(c), actor(c), t, &as); err != nil {
			return err
		}
		if len(refused) > 0 {
			return core.FieldErrorf("/values/"+escapePointer(refused[0].Slug), "%s", refused[0].Reason)
		}
		values = as.Creates[0].Values
		return s.doAPI(c, fillCommand(t, w, values, opts))
	case "delete":
		return s.doAPI(c, store.Bulk{Kind: "delete", Table: t.ID, Where: w, Options: opts})
	}
	return core.FieldErrorf("/op", "With “where” the operation is set or delete.")
}

// resultJSON is what one act did: its batch, null when nothing changed. What was refused or left is named up to a number, and the
// rest counted.
type resultJSON struct {
	Batch       *string         `json:"batch"`
	Applied     int64           `json:"applied"` // cells, and records as a whole
	Cells       int64           `json:"cells"`
	Refused     []store.Refusal `json:"refused"`
	MoreRefused int64           `json:"more_refused"`
	Left        []store.Refusal `json:"left"`
	MoreLeft    int64           `json:"more_left"`
	Created     []int64         `json:"created"` // the new records, in the order asked for
	Version     int64           `json:"version"` // of the table
	Label       string          `json:"label"`
}

func resultOut(res store.BatchResult) resultJSON {
	return resultJSON{Batch: batchName(res.Batch), Applied: res.Cells, Cells: res.Cells, Refused: append([]store.Refusal{}, res.Refused...), MoreRefused: res.MoreRefused,
		Left: append([]store.Refusal{}, res.Left...), MoreLeft: res.MoreLeft, Created: append([]int64{}, res.Created...), Version: res.Version, Label: res.Label}
}

type transformBody struct {
	Transform string               `json:"transform" enum:"replace"`
	Columns   []string             `json:"columns"` // left out: every column with texts that can be edited
	Where     *whereBody           `json:"where"`
	Options   transformOptionsBody `json:"options"`
	Preview   bool                 `json:"preview"`
}

type transformOptionsBody struct {
	Find      string `json:"find"`
	Replace   string `json:"replace"`
	MatchCase bool   `json:"match_case"`
	WholeCell bool   `json:"whole_cell"`
}

// transformPreviewJSON is what a transform would suggest: the first, and how many there are.
type transformPreviewJSON struct {
	Items []suggestionJSON `json:"items"`
	Count int64            `json:"count"`
}

func (s *Server) postTransform(c echo.Context) error {
	var body transformBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Transform != "replace" {
		return core.FieldErrorf("/transform", "There is no transform “%s”; there is “replace”.", body.Transform)
	}
	f, err := formOf(c)
	if err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	w, err := body.Where.records(t)
	if err != nil {
		return err
	}
	r := store.Replace{Find: body.Options.Find, With: body.Options.Replace, MatchCase: body.Options.MatchCase, WholeCell: body.Options.WholeCell}
	for i, slug := range body.Columns {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			return core.FieldErrorf("/columns/"+itoa(i), "There is no column %s.", slug)
		}
		r.Columns = append(r.Columns, col.Number)
	}
	if body.Preview {
		p, err := s.store.PreviewReplace(ctx, by, t.Ref(), w, r)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, transformPreviewJSON{f.suggestionsOut(t, p.Items), int64(p.Count)})
	}
	j, err := s.store.DoLater(ctx, by, t.Snapshot, store.Bulk{Kind: "transform", Table: t.ID, Where: w, Replace: r})
	if err != nil {
		return err
	}
	return accepted(c, j)
}
