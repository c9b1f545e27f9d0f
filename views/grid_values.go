package views

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"scratchpaper/internal/core"
	"scratchpaper/internal/worddiff"
)

// Cells are written here and not in a template: a cell's text is the value, to the last space, and templates put white space between
// their parts. Windows have hundreds of cells, too, and to put together one class attribute costs a template more than all the rest.

// written makes a component of HTML that is ready; every value in it has been escaped.
func written(html string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, html)
		return err
	})
}

// gridCells renders the cells of a record.
func gridCells(cells []GridCell, zone *time.Location) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		var open []byte
		for i := range cells {
			c := &cells[i]
			open = c.appendOpening(open[:0], zone)
			if _, err := w.Write(open); err != nil {
				return err
			}
			if err := cellInside(c, zone).Render(ctx, w); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "</div>"); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *GridCell) appendOpening(to []byte, zone *time.Location) []byte {
	to = append(to, `<div role="gridcell" class="`...)
	to = c.appendClasses(to)
	to = strconv.AppendInt(append(to, `" data-c="`...), int64(c.Column.Number), 10)
	to = append(to, '"')
	if c.Cut {
		to = append(to, " data-cut"...)
	}
	if c.Edited {
		to = appendAttribute(to, "data-was", c.Column.shown(c.Base, zone))
	}
	if len(c.Suggestions) > 0 {
		to = strconv.AppendInt(append(to, ` data-sug="`...), c.Suggestions[0].ID, 10)
		to = append(to, '"')
	}
	if more := c.more(); more != "" {
		to = appendAttribute(to, "data-more", more)
	}
	if hint := c.hint(zone); hint != "" {
		to = appendAttribute(to, "title", hint)
	}
	return append(to, '>')
}

func appendAttribute(to []byte, name, value string) []byte {
	to = append(append(append(to, ' '), name...), `="`...)
	return append(append(to, templ.EscapeString(value)...), '"')
}

// cellInside renders a cell's newest suggestion as a change, else its value.
func cellInside(c *GridCell, zone *time.Location) templ.Component {
	if len(c.Suggestions) > 0 {
		return DiffLine(c.Column.Type, c.Suggestions[0].Before, c.Suggestions[0].After, zone)
	}
	if c.Names != nil && !nameless(c.Value) {
		return written(references(c.Value, c.Names))
	}
	return gridValue(c, zone)
}

// references shows each record by its picture and title, with its id beside it; one that is not in the snapshot by its id alone.
func references(v core.Value, names map[string]RecordName) string {
	list := v.List
	if list == nil {
		list = []string{v.Text}
	}
	var b strings.Builder
	for i, id := range list {
		if i == mostPills {
			b.WriteString("+" + strconv.Itoa(len(list)-mostPills))
			break
		}
		if i > 0 {
			b.WriteString(`<span class="ref-and">, </span>`)
		}
		title := names[id].Title
		b.WriteString(thumb(names[id].Picture))
		if title == "" || title == id {
			b.WriteString(templ.EscapeString(id))
			continue
		}
		b.WriteString(templ.EscapeString(title))
		if v.List == nil {
			b.WriteString(`<small class="ref-id">` + templ.EscapeString(strings.TrimPrefix(id, "~")) + `</small>`)
		}
	}
	return b.String()
}

// mostPills and mostThumbs bound what one cell draws of a list.
const (
	mostPills  = 6
	mostThumbs = 3
)

// gridValue renders a value as its type is shown; null and the empty text are empty, and the style sheet marks them.
func gridValue(c *GridCell, zone *time.Location) templ.Component {
	v := c.Value
	if nameless(v) {
		return written("")
	}
	switch c.Column.Type {
	case core.Checkbox:
		return written(`<span class="sr">` + templ.EscapeString(v.Text) + `</span>`)
	case core.Choice:
		return written(pill(v.Text))
	case core.Choices:
		return written(pills(v.List))
	case core.Images:
		return written(thumbs(v.List))
	case core.Number, core.DateTime, core.LocalTime:
		return written(templ.EscapeString(c.Column.shown(v, zone)))
	}
	html := templ.EscapeString(v.Plain())
	if c.Column.Format == core.FormatBlocks {
		html = blockComment.ReplaceAllString(html, `<span class="block-comment">$0</span>`)
	}
	if c.Cut {
		html += "…"
	}
	return written(html)
}

// blockComment are the comments that say what block a text is of, with the lines around them: they are there, and a cell's one line does
// not show them.
var blockComment = regexp.MustCompile(`\s*&lt;!--.*?--&gt;\s*`)

func pill(s string) string {
	class := "pill"
	if tone := pillTone(s); tone != "" {
		class += " " + tone
	}
	return `<span class="` + class + `">` + templ.EscapeString(s) + `</span>`
}

func pills(list []string) string {
	var b strings.Builder
	for i, s := range list {
		if i == mostPills {
			b.WriteString("+" + strconv.Itoa(len(list)-mostPills))
			break
		}
		b.WriteString(pill(s))
	}
	return b.String()
}

func thumbs(list []string) string {
	var b strings.Builder
	for i, s := range list {
		if i == mostThumbs {
			b.WriteString("+" + strconv.Itoa(len(list)-mostThumbs))
			break
		}
		if picture(s) {
			b.WriteString(thumb(s))
		} else {
			b.WriteString(templ.EscapeString(s) + " ")
		}
	}
	return b.String()
}

// thumb shows a picture; nothing where the page may not load it.
func thumb(address string) string {
	if !picture(address) {
		return ""
	}
	return `<img class="thumb" alt="" loading="lazy" decoding="async" referrerpolicy="no-referrer" src="` + templ.EscapeString(address) + `">`
}

// DiffLine renders a change on one line: word by word for texts, old and new for everything else; instants in a zone, nil is UTC.
func DiffLine(t core.ColumnType, before, after core.Value, zone *time.Location) templ.Component {
	return written(diffHTML(t, before, after, zone, true))
}

// DiffText renders a change in full.
func DiffText(t core.ColumnType, before, after core.Value, zone *time.Location) templ.Component {
	return written(diffHTML(t, before, after, zone, false))
}

func diffHTML(t core.ColumnType, before, after core.Value, zone *time.Location, oneLine bool) string {
	if !wordwise(t, before, after) {
		return diffSide("del", t, before, zone, oneLine) + " " + diffSide("ins", t, after, zone, oneLine)
	}
	var b strings.Builder
	for _, p := range wordDiff(before.Plain(), after.Plain(), oneLine) {
		text := templ.EscapeString(p.Text)
		switch p.Op {
		case worddiff.Deleted:
			text = "<del>" + text + "</del>"
		case worddiff.Inserted:
			text = "<ins>" + text + "</ins>"
		}
		b.WriteString(text)
	}
	return b.String()
}

// diffSide renders one side of a change that is shown as a whole; a value without characters is named, in italics.
func diffSide(tag string, t core.ColumnType, v core.Value, zone *time.Location, oneLine bool) string {
	class := ""
	if nameless(v) {
		class = ` class="nil"`
	}
	return "<" + tag + class + ">" + templ.EscapeString(diffShown(t, v, zone, oneLine)) + "</" + tag + ">"
}
