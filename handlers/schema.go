package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// showSchema is the page of what a refresh found changed of a table's columns.
func (s *Server) showSchema(c echo.Context) error { return s.answerSchema(c, http.StatusOK, "") }

func (s *Server) answerSchema(c echo.Context, status int, wrong string) error {
	ctx, by := ctxOf(c), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	t, ok := tableIn(sn, []string{c.Param("table")})
	if !ok {
		return core.Errorf(core.NotFound, "This table is not here (any more).")
	}
	changes, err := s.store.SchemaChanges(ctx, by, t.Ref())
	if err != nil {
		return err
	}
	p, err := s.snapshotPage(c, "Columns of "+t.Title, "snapshots", sn)
	if err != nil {
		return err
	}
	address := "/snapshots/" + sn.ID + "/tables/" + t.ID
	v := views.SchemaView{Address: address + "/schema", Table: views.Link{Text: t.Title, Address: address}, Snapshot: views.Link{Text: sn.Name, Address: "/snapshots/" + sn.ID},
		CanEdit: by.Role >= core.Editor, Error: wrong}
	for _, ch := range changes {
		v.Lines = append(v.Lines, schemaLine(ch))
	}
	return s.render(c, status, views.Schema(p, v))
}

// applySchema takes over what is ticked of the added columns, and all other changes.
func (s *Server) applySchema(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	changes, err := s.store.SchemaChanges(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	ticked := c.Request().PostForm["add"]
	var leave []string
	for _, ch := range changes {
		if ch.Kind == store.FieldAdded && !slices.Contains(ticked, ch.Field.RemoteID) {
			leave = append(leave, ch.Field.RemoteID)
		}
	}
	res, err := s.store.ApplySchema(ctx, by, refOf(c), leave)
	var e *core.Error
	if errors.As(err, &e) && (e.Code == core.Busy || e.Code == core.Conflict) {
		return s.answerSchema(c, http.StatusConflict, e.Sentence)
	}
	if err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: schemaTaken(res)})
	if res.Job != nil {
		return see(c, "/jobs/"+res.Job.ID)
	}
	return see(c, "/snapshots/"+c.Param("snapshot")+"/tables/"+c.Param("table"))
}

// schemaTaken says what was done, and where edits are that do not fit any more.
func schemaTaken(res store.SchemaResult) string {
	words := "The columns are as they are at the service now."
	for _, k := range res.Kept {
		words += " What " + k.Of + " held before is in " + k.Title + "."
		if k.Edits > 0 {
			words += " " + views.Counted(k.Edits, "edit that does not fit is", "edits that do not fit are") + " only there."
		}
	}
	return words
}

func schemaLine(ch store.SchemaChange) views.SchemaLine {
	c, f := ch.Column, ch.Field
	line := views.SchemaLine{Kind: string(ch.Kind), Title: c.Title}
	if ch.Edits > 0 {
		line.Edits = views.Counted(ch.Edits, "edit", "edits")
	}
	switch ch.Kind {
	case store.FieldAdded:
		line.Title, line.After, line.Field, line.What = f.Title, f.Type.Word(), f.RemoteID, "A new column. Ticked, it is added here and downloaded."
	case store.FieldRemoved:
		line.What = "The service does not have it any more. It stays here, locked, with its values and edits; they are not published."
	case store.FieldReturned:
		line.What = "It was removed and is there again. It is unlocked and read anew; where an edit and the service differ you decide."
	case store.FieldRenamed:
		line.Before, line.After, line.What = c.RemoteID, f.Title, "It is the same column under another name. Edits stay, and are published by the new name."
		if c.RemoteID == f.RemoteID {
			line.Before = c.Title
		}
	case store.FieldRetyped:
		line.Before, line.After, line.What = c.Type.Word(), f.Type.Word(), "The values are the same; the column is checked and edited by its new type."
		if !store.HoldsType(c.Type, f.Type) {
			line.What = "Values and edits that fit the new type are cast. The column as it was stays beside it, locked, with its history and the edits that do not fit."
		}
	case store.FieldOptions:
		line.Before, line.After, line.What = optionWords(c.Options, f.Options)
	case store.FieldRights:
		line.Before, line.After, line.What = rightsWord(c.Writable, c.InsertOnly), rightsWord(f.Writable, f.InsertOnly), "Edits that are here stay."
		if f.WhyNot != "" {
			line.What = f.WhyNot + " Edits that are here stay, and are not published."
		}
	}
	return line
}

func rightsWord(writable, insertOnly bool) string {
	switch {
	case writable:
		return "can be changed"
	case insertOnly:
		return "can be given to new records"
	}
	return "cannot be changed"
}

// optionWords says what differs of what a column takes.
func optionWords(a, b core.ColumnOptions) (before, after, what string) {
	var was, is []string
	add := func(x, y string) {
		if x != y {
			was, is = append(was, x), append(is, y)
		}
	}
	add(strings.Join(a.Choices, ", "), strings.Join(b.Choices, ", "))
	add(limitWord(a.MaxLength, "characters"), limitWord(b.MaxLength, "characters"))
	add(limitWord(a.Precision, "digits"), limitWord(b.Precision, "digits"))
	add(requiredWord(a.Required), requiredWord(b.Required))
	add(a.RemoteType, b.RemoteType)
	what = "What the column takes is checked by this from now on. Edits stay; one that breaks it is refused by the service, with its reason."
	return strings.Join(slices.DeleteFunc(was, isEmpty), "; "), strings.Join(slices.DeleteFunc(is, isEmpty), "; "), what
}

func isEmpty(s string) bool { return s == "" }

func limitWord(n int, of string) string {
	if n == 0 {
		return ""
	}
	return "at most " + strconv.Itoa(n) + " " + of
}

func requiredWord(required bool) string {
	if required {
		return "required"
	}
	return "may be empty"
}
