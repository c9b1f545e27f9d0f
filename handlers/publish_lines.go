package handlers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// groupsShown and itemsShown are how many lines one page of a review has; the rest is a page further.
const (
	groupsShown = 100
	itemsShown  = 100
)

func (s *Server) publishView(c echo.Context, sn store.Snapshot, p store.Plan) (views.PublishView, error) {
	ctx, by, n := ctxOf(c), actor(c), p.Counts
	v := views.PublishView{Address: planAddress(sn.ID, p.ID), Place: placeOf(c), Snapshot: "/snapshots/" + sn.ID, State: p.State, Reverts: p.Reverts != "", Creates: n.Creates, Updates: n.Updates,
		Deletes: n.Deletes, Planned: n.Planned, Published: n.Published, Failed: n.Failed, Conflicts: n.Conflict, Unknown: n.Unknown, Total: n.Total, Shown: c.QueryParam("state"),
		Deleting: p.Deletes, Connection: "the service", Table: sn.Name, Several: len(p.Tables) > 1}
	inConflict := n.Total - n.Planned - n.Sending - n.Published - n.Failed - n.Unknown - n.LeftOut // by state, not left out
	v.LeftOut = n.LeftOut - (n.Conflict - inConflict)
	columns := columnsIn(sn)
	if t, ok := tableIn(sn, p.Tables); ok {
		v.Snapshot = "/snapshots/" + sn.ID + "/tables/" + t.ID
		if con, err := s.store.ConnectionByID(ctx, by, t.Connection); err == nil {
			v.Connection = con.Name
		}
		if k, _, err := s.settings(ctx, by, t.Connection); err == nil {
			measured, err := s.store.PublishRate(ctx, by, t.Connection)
			if err != nil {
				return v, err
			}
			v.Gap, v.Forecast = k.Info().Gap, forecast(k.Info(), n, measured)
		}
	}
	v.MayPublish = by.May(core.Publish) == nil
	if p.State == "draft" {
		var err error
		if v.Second, err = s.secondView(c, p); err != nil {
			return v, err
		}
		groups, more, err := s.store.PlanGroups(ctx, by, sn.ID, p.ID, groupsShown)
		if err != nil {
			return v, err
		}
		written, err := s.writtenValues(c, sn, valuesOfGroups(groups, columns))
		if err != nil {
			return v, err
		}
		v.Groups = groupLines(groups, columns, n.Deletes, written)
		v.MoreGroups = more || len(groups) > singlesShown && slices.ContainsFunc(groups, func(g store.PlanGroup) bool { return g.Op == "update" && g.Count == 1 })
		unsent, err := s.store.UnsentEdits(ctx, by, sn, p.Tables)
		if err != nil {
			return v, err
		}
		v.Unsent = unsentWords(unsent)
		if n.Creates > 0 {
			lacking, err := s.store.LackingCreates(ctx, by, sn, p.ID)
			if err != nil {
				return v, err
			}
			v.Lacking = lackingLines(sn, lacking)
		}
	}
	if p.Job != "" {
		if j, err := s.store.JobByID(ctx, by, p.Job); err == nil && !j.Ended() {
			jv := views.JobView{Job: jobLine(j), Title: jobTitle(j), Plan: v.Address}
			fillJob(&jv, j, sn)
			v.Job = &jv
		}
	}
	return v, s.fillItems(c, sn, p, columns, &v)
}

func (s *Server) fillItems(c echo.Context, sn store.Snapshot, p store.Plan, columns map[int]core.Column, v *views.PublishView) error {
	after, err := numberParam(c, "after")
	if err != nil {
		return err
	}
	f := store.ItemsFilter{State: v.Shown, After: after, Limit: itemsShown}
	if conflict := v.Shown == "conflict"; conflict || v.Shown == "left_out" {
		f.Conflict = &conflict
	}
	if v.Shown == "conflict" {
		f.State = ""
	}
	items, next, err := s.store.Items(ctxOf(c), actor(c), sn.ID, p.ID, f)
	if err != nil {
		return err
	}
	written, err := s.writtenValues(c, sn, valuesOfItems(items, columns))
	if err != nil {
		return err
	}
	for _, it := range items {
		v.Items = append(v.Items, itemLine(sn, it, columns, written))
	}
	if next != 0 {
		v.Next = v.Address + "?state=" + url.QueryEscape(v.Shown) + "&after=" + strconv.FormatInt(next, 10)
	}
	return nil
}

func columnsIn(sn store.Snapshot) map[int]core.Column {
	out := map[int]core.Column{}
	for _, t := range sn.Tables {
		for _, c := range t.Columns {
			out[c.Number] = c
		}
	}
	return out
}

func tableIn(sn store.Snapshot, ids []string) (store.Table, bool) {
	for _, t := range sn.Tables {
		if len(ids) > 0 && t.ID == ids[0] {
			return t, true
		}
	}
	return store.Table{}, false
}

func plainValue(c core.Column, raw json.RawMessage) string {
	v, err := core.FromCanonical(c.Type, raw)
	if err != nil {
		return string(raw)
	}
	if c.Type == core.DateTime && len(v.Text) > len(time.DateOnly) {
		return v.Text[:len(time.DateOnly)] + " " + v.Text[len(time.DateOnly)+1:]
	}
	return v.Plain()
}

// lackingLines says which new records the service will refuse, and leads to them.
func lackingLines(sn store.Snapshot, list []store.LackingColumn) []views.LackingLine {
	var out []views.LackingLine
	for _, l := range list {
		filter := "created() && " + l.Column.Slug + " == null"
		out = append(out, views.LackingLine{Records: l.Records, Column: l.Column.Title,
			Address: "/snapshots/" + sn.ID + "/tables/" + l.Table + "?filter=" + url.QueryEscape(filter)})
	}
	return out
}

// unsentWords says of which columns edits stay here.
func unsentWords(list []store.UnsentColumn) string {
	if len(list) == 0 {
		return ""
	}
	parts := make([]string, len(list))
	for i, u := range list {
		parts[i] = views.Counted(u.Edits, "edit", "edits") + " of " + u.Column.Title
	}
	return "Not in this plan, since these columns are locked against publishing: " + strings.Join(parts, ", ") + "."
}

// groupLines gives a plan's groups as lines: updates, new records, deletes. The deletes of all tables are one line: they have one tick.
func groupLines(groups []store.PlanGroup, columns map[int]core.Column, deletes int64, written writer) []views.GroupLine {
	var creates, lines []views.GroupLine
	gone := views.GroupLine{Title: "deletes", Op: "delete", Count: deletes}
	for _, g := range groups {
		switch g.Op {
		case "delete":
			gone.Titles = append(gone.Titles, g.Titles...)
		case "create":
			creates = append(creates, planGroupLine(g, columns, written))
		default:
			lines = append(lines, planGroupLine(g, columns, written))
		}
	}
	if len(lines) > singlesShown { // what nothing else is like is no group
		lines = slices.DeleteFunc(lines, func(l views.GroupLine) bool { return l.Count == 1 })
	}
	lines = append(lines, creates...)
	for i := range lines {
		lines[i].Place = i
	}
	if deletes > 0 {
		gone.Titles = gone.Titles[:min(len(gone.Titles), titlesShown, int(deletes))]
		lines = append(lines, gone)
	}
	return lines
}

// singlesShown is up to how many groups of updates those of one record are among them.
const singlesShown = 12

// titlesShown is how many records a group names.
const titlesShown = 5

func planGroupLine(g store.PlanGroup, columns map[int]core.Column, written writer) views.GroupLine {
	line := views.GroupLine{Title: "new records", Op: g.Op, Titles: g.Titles, Count: g.Count, Ticked: g.Ticked, Form: [][2]string{{"op", g.Op}, {"table", g.Table}}}
	if g.Op == "update" {
		c := columns[g.Column]
		line.Title, line.Before, line.After, line.Names = c.Title, written(c, g.Base), written(c, g.Value), c.Options.TargetTable != ""
		line.Form = append(line.Form, [2]string{"column", strconv.Itoa(g.Column)}, [2]string{"base", string(g.Base)}, [2]string{"value", string(g.Value)})
	}
	return line
}

var reasons = map[string]string{"conflict": "In conflict: decide in the grid.", "changed": "Changed since this plan was made.", "gone": "The record is gone.",
	"unticked": "", "created already": "It was created by another publish."}

func itemLine(sn store.Snapshot, it store.Item, columns map[int]core.Column, written writer) views.ItemLine {
	line := views.ItemLine{ID: it.ID, Title: it.Title, Op: it.Op, State: it.State, Reason: it.Reason,
		Address: fmt.Sprintf("/snapshots/%s/tables/%s?record=%d", sn.ID, it.Table, it.Record)}
	if it.Op != "create" || it.State == "published" || it.State == "unknown" { // of others the id is only reserved
		line.RemoteID = it.RemoteID
	}
	if words, ok := reasons[it.Reason]; ok && it.State == "left_out" {
		line.Reason = words
	}
	if r := it.Receipt; r != nil {
		line.At, line.Words, line.Receipt = r.At, r.Words, receiptFields(*r, columns)
	}
	if t, ok := tableIn(sn, []string{it.Table}); ok {
		line.Table = t.Title
	}
	for n := range it.Fields {
		c := columns[n]
		line.Fields = append(line.Fields, views.FieldLine{Title: c.Title, Before: written(c, it.Fields[n].Base), After: written(c, it.Fields[n].Value), Names: c.Options.TargetTable != ""})
	}
	sortFields(line.Fields)
	return line
}

// receiptFields gives what was sent of each field, beside what was there before and what the service holds now; of a delete,
// every field that was there.
func receiptFields(r store.Receipt, columns map[int]core.Column) []views.ReceiptField {
	fields := r.Sent
	if len(fields) == 0 {
		fields = r.Before
	}
	var out []views.ReceiptField
	for n := range fields {
		number, _ := strconv.Atoi(n)
		c, ok := columns[number]
		if !ok {
			continue // the column is not in the snapshot any more
		}
		text := func(values map[string]json.RawMessage) string {
			if raw, ok := values[n]; ok {
				return plainValue(c, raw)
			}
			return ""
		}
		out = append(out, views.ReceiptField{Title: c.Title, Before: text(r.Before), Sent: text(r.Sent), Held: text(r.Stored)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Title < out[j].Title })
	return out
}

func sortFields(f []views.FieldLine) {
	sort.Slice(f, func(i, j int) bool { return f[i].Title < f[j].Title })
}
