package views

import (
	"strconv"
	"strings"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/worddiff"
)

// diffLimit is how long the word diff of one cell may take: a window has some hundred of them.
const diffLimit = 5 * time.Millisecond

// diffLead is how many characters of unchanged text stand before the first change in a cell, which shows one line.
const diffLead = 24

// appendClasses appends the class list of a cell: its type's look, then its states.
func (c *GridCell) appendClasses(to []byte) []byte {
	to = append(to, 'c')
	switch c.Column.Type {
	case core.Number:
		to = append(to, " num"...)
	case core.Checkbox:
		to = append(to, " check"...)
	case core.JSON:
		to = append(to, " mono"...)
	}
	null := c.Value.IsNull()
	for _, s := range [...]struct {
		name string
		on   bool
	}{
		{" is-edited", c.Edited}, {" is-suggested", len(c.Suggestions) > 0}, {" is-conflict", c.Conflict},
		{" is-invalid", c.Problem != ""}, {" is-readonly", !c.Writable()},
		{" is-null", null}, {" is-blank", !null && c.Value.List == nil && c.Value.Text == ""},
		{" is-lines", c.Value.List == nil && strings.Contains(strings.TrimRight(c.Value.Text, "\n"), "\n")},
		{" is-on", c.Column.Type == core.Checkbox && c.Value.Text == "true"},
	} {
		if s.on {
			to = append(to, s.name...)
		}
	}
	return to
}

// hint gives what a cell says when it is pointed at: its old value, whose suggestion it is, what is wrong with it.
func (c *GridCell) hint(zone *time.Location) string {
	var parts []string
	if c.Problem != "" {
		parts = append(parts, c.Problem)
	}
	if c.Conflict {
		parts = append(parts, "The service changed it too: "+c.Column.shown(c.Theirs, zone))
	}
	if c.Edited {
		parts = append(parts, "was "+c.Column.shown(c.Base, zone))
	}
	for _, s := range c.Suggestions {
		parts = append(parts, "suggested by "+s.Who+because(s.Reason))
	}
	return strings.Join(parts, "\n")
}

// LacksWords says what is wrong with a new record without a value of a column.
func LacksWords(column string) string {
	return "The service refuses a record without “" + column + "”."
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// more gives the number of suggestions that compete for a cell, or "" for fewer than two.
func (c *GridCell) more() string {
	if len(c.Suggestions) < 2 {
		return ""
	}
	return strconv.Itoa(len(c.Suggestions))
}

// shown gives a value on one line for people; null and the empty text are named.
func shown(v core.Value) string {
	switch {
	case v.IsNull():
		return "empty"
	case v.List != nil && len(v.List) == 0:
		return "empty list"
	case v.List == nil && v.Text == "":
		return "empty text"
	}
	return clip(v.Plain(), 160)
}

// shown gives a value of the column on one line for people: its number in groups, its instant in their zone.
func (c *GridColumn) shown(v core.Value, zone *time.Location) string {
	switch {
	case nameless(v):
		return shown(v)
	case c.Type == core.Number && !c.tellsApart():
		return grouped(v.Text)
	case c.Type == core.DateTime:
		return zoned(v.Text, zone)
	case c.Type == core.LocalTime:
		return local(v.Text)
	}
	return shown(v)
}

// local gives a time without a zone as people write it; without its seconds when there are none.
func local(text string) string {
	return strings.TrimSuffix(strings.Replace(text, "T", " ", 1), ":00")
}

// tellsApart says whether the column's numbers are names of records, and not amounts: they are shown as they are.
func (c *GridColumn) tellsApart() bool {
	return c.Key || c.Slug == "id" || strings.HasSuffix(c.Slug, "_id")
}

// leastGrouped is how many digits a number has that is written in groups: years and codes of four stay as they are.
const leastGrouped = 5

// grouped writes a plain number with a comma between groups of three digits; everything else stays as it is.
func grouped(s string) string {
	whole, part, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if len(whole) < leastGrouped || strings.Trim(whole+part, "0123456789") != "" {
		return s
	}
	at := strings.Index(s, whole)
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return s[:at] + b.String() + s[at+len(whole):]
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// nameless says whether a value has no characters of its own to show.
func nameless(v core.Value) bool { return v.IsNull() || v.Plain() == "" }

// wordwise says whether two values of a type are compared word by word; others are shown as a whole, old and new.
func wordwise(t core.ColumnType, a, b core.Value) bool {
	switch t {
	case core.Text, core.LongText, core.Markdown, core.JSON:
		return !nameless(a) && !nameless(b)
	}
	return false
}

// wordDiff gives the parts of a change; long stretches of equal text are cut in the cell's one line.
func wordDiff(before, after string, oneLine bool) []worddiff.Part {
	parts := worddiff.Diff(before, after, diffLimit)
	if oneLine && len(parts) > 0 && parts[0].Op == worddiff.Same {
		if r := []rune(parts[0].Text); len(r) > 2*diffLead {
			parts[0].Text = "…" + string(r[len(r)-diffLead:])
		}
	}
	return parts
}

// zoned gives an instant in a person's zone, to the minute; what cannot be read stays as it is.
func zoned(text string, zone *time.Location) string {
	t, err := time.Parse("2006-01-02T15:04:05.999999999Z07:00", text)
	if err != nil {
		return text
	}
	if zone == nil {
		zone = time.UTC
	}
	layout := "2006-01-02 15:04"
	if t.Second() != 0 {
		layout = "2006-01-02 15:04:05"
	}
	return t.In(zone).Format(layout)
}

// picture says whether an address can be shown as a thumbnail under the page's content policy.
func picture(address string) bool { return strings.HasPrefix(address, "https://") }

func rowClass(r GridRow) string {
	class := "r"
	switch {
	case r.Gone:
		class += " is-gone"
	case r.State == core.Created:
		class += " is-created"
	case r.State == core.Deleted:
		class += " is-deleted"
	case r.State == core.Proposed:
		class += " is-proposed"
	}
	if r.Conflict != "" {
		class += " has-conflict"
	}
	if r.Whole != nil && r.Whole.Delete {
		class += " is-going"
	}
	return class
}

// rowHint says what is special about a record as a whole.
func rowHint(r GridRow) string {
	switch {
	case r.Gone:
		return "This record was deleted since the order was made"
	case r.Conflict != "":
		return r.Conflict
	case r.Whole != nil:
		return wholeWords(*r.Whole)
	case r.State == core.Created:
		return "Created here, not yet published"
	case r.State == core.Deleted:
		return "Deleted here, not yet published"
	case r.State == core.Proposed:
		return "Suggested: create this record"
	}
	return ""
}

// wholeWords says what is suggested for a record as a whole.
func wholeWords(sg GridSuggestion) string {
	if sg.Delete {
		return "Suggested by " + sg.Who + ": delete this record" + because(sg.Reason)
	}
	return "Suggested by " + sg.Who + ": create this record" + because(sg.Reason)
}

func rowNumber(r GridRow) string {
	if r.Position < 0 {
		return ""
	}
	return strconv.Itoa(r.Position + 1)
}

// diffShown gives one side of a change that is shown as a whole.
func diffShown(t core.ColumnType, v core.Value, zone *time.Location, oneLine bool) string {
	if t == core.Number || t == core.DateTime || t == core.LocalTime {
		return (&GridColumn{Type: t}).shown(v, zone)
	}
	if oneLine || nameless(v) {
		return shown(v)
	}
	return v.Plain()
}

// pillTone gives the words that services use for states their usual colour.
func pillTone(s string) string {
	switch strings.ToLower(s) {
	case "live", "published", "publish", "active", "done", "enabled", "yes", "approved":
		return "g"
	case "pending", "review", "in review", "paused", "scheduled", "in progress":
		return "y"
	}
	return ""
}
