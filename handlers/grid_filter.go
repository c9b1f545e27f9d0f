package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// composeFilter adds a condition to a filter, or takes one away, and answers with the grid's address, or with the filter
// for a script. The parameters are filter, column (a slug), op and value, or without (a condition's index).
func (s *Server) composeFilter(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	filter := c.QueryParam("filter")
	if slug := c.QueryParam("column"); slug != "" {
		col, ok := t.ColumnBySlug(slug)
		if !ok {
			return core.FieldErrorf("/column", "There is no column %s.", slug)
		}
		cond, err := condition(col, c.QueryParam("op"), c.QueryParam("value"))
		if err != nil {
			return err
		}
		filter = conjunction(append(conjuncts(filter), cond))
	}
	if wantsJSON(c) {
		return c.JSON(http.StatusOK, map[string]string{"filter": filter})
	}
	q := url.Values{"filter": {filter}}
	for _, name := range []string{"sort", "find"} {
		if v := c.QueryParam(name); v != "" {
			q.Set(name, v)
		}
	}
	return see(c, views.GridBase(t.Snapshot, t.ID)+"?"+q.Encode())
}

func wantsJSON(c echo.Context) bool {
	return strings.HasPrefix(c.Request().Header.Get("Accept"), "application/json")
}

// condition writes one line of the filter builder as an expression. Codes: Invalid (the value does not fit).
func condition(col core.Column, op, value string) (string, error) {
	name := col.Slug
	switch op {
	case "empty":
		return "empty(" + name + ")", nil
	case "filled":
		return "!empty(" + name + ")", nil
	case "true", "false":
		return name + " == " + op, nil
	}
	if col.Type.IsText() {
		if cond, ok := textCondition(name, op, value); ok {
			return cond, nil
		}
	}
	literal, err := literalOf(col, value)
	if err != nil {
		return "", err
	}
	if col.Type.IsList() {
		if op == "isnot" || op == "lacks" {
			return "!(" + literal + " in " + name + ")", nil
		}
		return literal + " in " + name, nil
	}
	signs := map[string]string{"is": "==", "isnot": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
	sign, ok := signs[op]
	if !ok {
		return "", core.FieldErrorf("/op", "%s cannot be compared that way.", col.Title)
	}
	return name + " " + sign + " " + literal, nil
}

func textCondition(name, op, value string) (string, bool) {
	text := celText(value)
	switch op {
	case "contains":
		return name + ".containsIgnoreCase(" + text + ")", true
	case "lacks":
		return "!" + name + ".containsIgnoreCase(" + text + ")", true
	case "starts":
		return name + ".startsWith(" + text + ")", true
	case "ends":
		return name + ".endsWith(" + text + ")", true
	}
	return "", false
}

// literalOf writes a typed value as a literal of the expression language.
func literalOf(col core.Column, value string) (string, error) {
	if col.Type.IsText() || col.Type.IsList() {
		return celText(value), nil
	}
	v, err := core.FromInput(col, value)
	if err != nil {
		return "", err
	}
	if v.IsNull() {
		return "null", nil
	}
	switch col.Type {
	case core.Date:
		return "date(" + celText(v.Text) + ")", nil
	case core.DateTime, core.LocalTime:
		return "timestamp(" + celText(v.Text) + ")", nil
	case core.Number, core.Checkbox:
		return v.Text, nil
	}
	return celText(v.Text), nil
}

// celText writes a text literal. What Go escapes in an ASCII string CEL reads the same way.
func celText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// conjuncts splits a filter at the && that bind loosest, outside texts and brackets; a filter with || on that level is
// one condition.
func conjuncts(filter string) []string {
	filter = strings.TrimSpace(filter)
	if filter == "" {
		return nil
	}
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(filter); i++ {
		switch ch := filter[i]; {
		case ch == '"' || ch == '\'':
			i = endOfText(filter, i)
		case strings.IndexByte("([{", ch) >= 0:
			depth++
		case strings.IndexByte(")]}", ch) >= 0:
			depth--
		case depth == 0 && strings.HasPrefix(filter[i:], "||"), depth == 0 && ch == '?':
			return []string{filter}
		case depth == 0 && strings.HasPrefix(filter[i:], "&&"):
			parts = append(parts, strings.TrimSpace(filter[start:i]))
			i, start = i+1, i+2
		}
	}
	return append(parts, strings.TrimSpace(filter[start:]))
}

// endOfText gives the index of the quote that ends the text beginning at i, or the last index.
func endOfText(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case s[i]:
			return j
		}
	}
	return len(s) - 1
}

// conjunction joins conditions; one with || at its top is put in brackets when there are others.
func conjunction(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	for i, p := range parts {
		if hasLoose(p) {
			parts[i] = "(" + p + ")"
		}
	}
	return strings.Join(parts, " && ")
}

func hasLoose(p string) bool {
	depth := 0
	for i := 0; i < len(p); i++ {
		switch ch := p[i]; {
		case ch == '"' || ch == '\'':
			i = endOfText(p, i)
		case strings.IndexByte("([{", ch) >= 0:
			depth++
		case strings.IndexByte(")]}", ch) >= 0:
			depth--
		case depth == 0 && (strings.HasPrefix(p[i:], "||") || ch == '?'):
			return true
		}
	}
	return false
}

// chipsOf makes a chip of each condition, with the address of the view without it.
func chipsOf(p views.GridPage, t store.Table) []views.GridChip {
	parts := conjuncts(p.Filter)
	var out []views.GridChip
	for i, part := range parts {
		rest := append(append([]string{}, parts[:i]...), parts[i+1:]...)
		filter := conjunction(rest)
		chip := views.GridChip{Text: conditionWords(t, part), Filter: filter, Without: p.Address(filter, p.Sort, p.Find)}
		chip.Column, chip.Op, chip.Value = conditionParts(t, part)
		out = append(out, chip)
	}
	return out
}

// conditionParts says a condition as the filter builder does; all are "" when the builder would write another one.
func conditionParts(t store.Table, part string) (slug, op, value string) {
	if m := comparePattern.FindStringSubmatch(part); m != nil {
		slug, op, value = m[1], map[string]string{"==": "is", "!=": "isnot", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}[m[2]], literalValue(m[3])
		if col, _ := t.ColumnBySlug(slug); col.Type == core.Checkbox && op == "is" {
			op, value = value, ""
		}
	} else if m := methodPattern.FindStringSubmatch(part); m != nil {
		slug, op, value = m[2], map[string]string{"containsIgnoreCase": "contains", "startsWith": "starts", "endsWith": "ends"}[m[3]], literalValue(m[4])
		if m[1] == "!" {
			op = "lacks"
		}
	} else if m := emptyPattern.FindStringSubmatch(part); m != nil {
		slug, op = m[2], map[string]string{"": "empty", "!": "filled"}[m[1]]
	} else if m := inPattern.FindStringSubmatch(part); m != nil {
		slug, op, value = m[3], map[bool]string{true: "is", false: "isnot"}[m[1] == ""], literalValue(m[2])
	}
	col, ok := t.ColumnBySlug(slug)
	if !ok {
		return "", "", ""
	}
	if again, err := condition(col, op, value); err != nil || again != part {
		return "", "", ""
	}
	return slug, op, value
}

var (
	comparePattern = regexp.MustCompile(`^([a-z][a-z0-9_]*)\s*(==|!=|>=|<=|>|<)\s*(.+)$`)
	methodPattern  = regexp.MustCompile(`^(!?)([a-z][a-z0-9_]*)\.(containsIgnoreCase|contains|startsWith|endsWith)\((".*")\)$`)
	emptyPattern   = regexp.MustCompile(`^(!?)empty\(([a-z][a-z0-9_]*)\)$`)
	inPattern      = regexp.MustCompile(`^(!\()?(".*") in ([a-z][a-z0-9_]*)\)?$`)
	datePattern    = regexp.MustCompile(`^(?:date|timestamp)\((".*")\)$`)
)

// conditionWords says a condition as a person would; what it does not know stays an expression.
func conditionWords(t store.Table, part string) string {
	switch part {
	case "edited()":
		return "edited"
	case "suggested()":
		return "with suggestions"
	case "conflict()":
		return "in conflict"
	case "created()":
		return "created here"
	case "deleted()":
		return "deleted here"
	case "problem()":
		return "with problems"
	}
	if m := comparePattern.FindStringSubmatch(part); m != nil {
		words := map[string]string{"==": "is", "!=": "is not", ">": ">", "<": "<", ">=": "≥", "<=": "≤"}
		return titleOf(t, m[1]) + " " + words[m[2]] + " " + literalWords(m[3])
	}
	if m := methodPattern.FindStringSubmatch(part); m != nil {
		words := map[string]string{"contains": "contains", "containsIgnoreCase": "contains", "startsWith": "starts with", "endsWith": "ends with"}[m[3]]
		if m[1] == "!" {
			words = "does not " + strings.TrimSuffix(words, "s")
		}
		return titleOf(t, m[2]) + " " + words + " " + literalWords(m[4])
	}
	if m := emptyPattern.FindStringSubmatch(part); m != nil {
		if m[1] == "!" {
			return titleOf(t, m[2]) + " is not empty"
		}
		return titleOf(t, m[2]) + " is empty"
	}
	if m := inPattern.FindStringSubmatch(part); m != nil {
		if m[1] != "" {
			return titleOf(t, m[3]) + " does not have " + literalWords(m[2])
		}
		return titleOf(t, m[3]) + " has " + literalWords(m[2])
	}
	return part
}

func titleOf(t store.Table, slug string) string {
	if c, ok := t.ColumnBySlug(slug); ok {
		return c.Title
	}
	return slug
}

// literalWords gives a literal as a person would write it; the empty text keeps its quotes.
func literalWords(s string) string {
	if text := literalValue(s); text != "" {
		return text
	}
	return strings.TrimSpace(s)
}

// literalValue gives the text of a literal, as one would type it into the filter builder.
func literalValue(s string) string {
	s = strings.TrimSpace(s)
	if m := datePattern.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	if text, err := strconv.Unquote(s); err == nil {
		return text
	}
	return s
}

// showFacets answers with the distinct values of a column under the view, the most frequent first.
func (s *Server) showFacets(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	t, err := s.store.TableByID(ctx, by, refOf(c))
	if err != nil {
		return err
	}
	v, err := viewOf(c, t)
	if err != nil {
		return err
	}
	col, ok := t.ColumnBySlug(c.QueryParam("column"))
	if !ok {
		return core.FieldErrorf("/column", "There is no column %s.", c.QueryParam("column"))
	}
	list, more, err := s.store.Facets(ctx, by, t.Ref(), v, col.Number, c.QueryParam("search"), store.First(50))
	if err != nil {
		return err
	}
	model := views.GridFacets{Column: views.NewGridColumn(col), More: more}
	for _, f := range list {
		model.Values = append(model.Values, facetLine(col, v.Filter, f))
	}
	return s.render(c, http.StatusOK, views.FacetList(model))
}

func facetLine(col core.Column, filter string, f store.Facet) views.GridFacet {
	cond := col.Slug + " == null"
	if !f.Value.IsNull() {
		if literal, err := literalOf(col, f.Value.Plain()); err == nil && col.Type.IsList() {
			cond = literal + " in " + col.Slug
		} else if err == nil {
			cond = col.Slug + " == " + literal
		}
	}
	return views.GridFacet{Value: f.Value, Count: f.Count, Filter: conjunction(append(conjuncts(filter), cond))}
}
