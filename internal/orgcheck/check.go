// Package orgcheck holds statements against a rule of the store: whatever names a control table of organizations names the
// organization too. Its tracer lets tests fail on a statement that does not. It is not part of the program.
package orgcheck

import (
	"fmt"
	"slices"
	"strings"
)

// Tables are the control tables whose rows belong to an organization.
var Tables = []string{"connections", "snapshots", "tables", "columns", "views", "jobs", "uploads", "upload_chunks", "idempotency_keys", "members", "job_records",
	"sessions", "codes", "invitations", "audit_log", "api_tokens", "clerk_left", "approvals", "token_people", "shares", "schedules", "webhooks", "webhook_deliveries", "switches"}

// minReason is how many characters say anything about why a statement works over all organizations.
const minReason = 15

// Check gives an error when a statement names a control table of organizations without comparing its org_id, at the top of
// its condition, with a value or with the org_id of a table that is so bound; an insert has to name org_id among its columns.
// A statement that lawfully works over all organizations has a comment "every organization: " with the reason.
func Check(sql string) error {
	s := &scanner{sql: sql}
	tokens := s.group()
	if len(s.reason) >= minReason {
		return nil
	}
	return checkScopes(tokens, nil)
}

// named is a control table in a statement, under the name that its columns are called by.
type named struct{ table, alias string }

// checkScopes checks the queries of a group one by one, and those inside them. outer are the control tables around it.
func checkScopes(tokens []token, outer []named) error {
	start := 0
	for i := 0; i <= len(tokens); i++ {
		if i < len(tokens) && !slices.Contains([]string{";", "union", "intersect", "except"}, tokens[i].text) {
			continue
		}
		if err := checkQuery(tokens[start:i], outer); err != nil {
			return err
		}
		start = i + 1
	}
	return nil
}

func checkQuery(tokens []token, outer []named) error {
	q := readQuery(tokens)
	if q.wrong != "" {
		return fmt.Errorf("%s", q.wrong)
	}
	bound := boundNames(q, outer)
	for _, n := range q.names {
		if !bound[n.alias] {
			return fmt.Errorf("%s has no org_id in its condition", n.table)
		}
	}
	around := append(slices.Clone(outer), q.names...)
	for _, g := range groups(tokens) {
		if err := checkScopes(g, around); err != nil {
			return err
		}
	}
	return nil
}

// groups gives the subqueries of a query, however deep in parentheses that are none.
func groups(tokens []token) (out [][]token) {
	for _, t := range tokens {
		switch {
		case t.group == nil:
		case isQuery(t.group):
			out = append(out, t.group)
		default:
			out = append(out, groups(t.group)...)
		}
	}
	return out
}

func isQuery(g []token) bool {
	return len(g) > 0 && slices.Contains([]string{"select", "with", "insert", "update", "delete", "values"}, g[0].text)
}

// query is one select, insert, update or delete.
type query struct {
	names      []named   // control tables that need a condition
	conditions [][]token // where and on clauses
	wrong      string
}

// clauses begin where a condition or a list of tables ends.
var clauses = []string{"where", "on", "group", "having", "order", "limit", "offset", "returning", "set", "for", "window", "join", "left", "right", "full",
	"inner", "cross", "from", "using", "select", "do", "with", "insert", "update", "delete", "fetch"}

func readQuery(tokens []token) query {
	q := query{}
	clause := ""
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case t.word && (t.text == "where" || t.text == "on"):
			end := endOfClause(tokens, i+1)
			q.conditions = append(q.conditions, tokens[i+1:end])
			i, clause = end-1, ""
		case t.word && slices.Contains(clauses, t.text):
			clause = t.text
		}
		if !t.word || !slices.Contains(Tables, t.text) || !namesTable(tokens, i, clause) {
			continue
		}
		switch {
		case before(tokens, i) == "into":
			if i+1 == len(tokens) || !hasWord(tokens[i+1].group, "org_id") {
				q.wrong = t.text + " gets rows without org_id among the columns"
			}
		case slices.Contains([]string{"truncate", "copy", "table"}, before(tokens, i)):
			q.wrong = t.text + " is changed as a whole"
		default:
			q.names = append(q.names, named{t.text, aliasAt(tokens, i)})
		}
	}
	return q
}

// endOfClause gives where a condition ends that begins at from.
func endOfClause(tokens []token, from int) int {
	for i := from; i < len(tokens); i++ {
		t := tokens[i]
		if t.word && slices.Contains(clauses, t.text) && !(t.text == "from" && i > from && tokens[i-1].text == "distinct") {
			return i
		}
	}
	return len(tokens)
}

// before gives the word in front of a table's name, past its schema and "only".
func before(tokens []token, i int) string {
	if i >= 2 && tokens[i-1].text == "." && tokens[i-2].text == "public" {
		i -= 2
	}
	for i > 0 && (tokens[i-1].text == "only" || tokens[i-1].text == "lateral") {
		i--
	}
	if i == 0 {
		return ""
	}
	return tokens[i-1].text
}

// namesTable says whether the word at i is the name of a table rather than of a column or of an alias.
func namesTable(tokens []token, i int, clause string) bool {
	switch before(tokens, i) {
	case "from", "join", "update", "into", "using", "truncate", "copy", "table":
		return true
	case ",":
		return clause == "from" || clause == "using" || clause == "join" || clause == "cross" || clause == "left"
	}
	return false
}

func aliasAt(tokens []token, i int) string {
	table := tokens[i].text
	if i++; i < len(tokens) && tokens[i].text == "as" {
		i++
	}
	if i < len(tokens) && tokens[i].word && !slices.Contains(clauses, tokens[i].text) {
		return tokens[i].text
	}
	return table
}

func hasWord(tokens []token, word string) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return t.word && t.text == word })
}

// boundNames gives the aliases whose org_id is compared with a value, or with one that is bound itself.
func boundNames(q query, outer []named) map[string]bool {
	var facts []equality
	for _, c := range q.conditions {
		facts = append(facts, equalities(c)...)
	}
	bound, here := map[string]bool{}, map[string]bool{}
	for _, n := range q.names {
		here[n.alias] = true
	}
	// An alias that is no control table of this query belongs to a query around it or to one that is checked by itself.
	free := func(alias string) bool { return alias != "" && !here[alias] }
	for range len(q.names) + 1 {
		for _, f := range facts {
			a, b := f.left.in(q), f.right.in(q)
			if f.right.value || free(b) || bound[b] {
				bound[a] = true
			}
			if f.left.value || free(a) || bound[a] {
				bound[b] = true
			}
		}
	}
	return bound
}

// side is one side of an equality: the org_id of an alias ("" where it is not named), or a value.
type side struct {
	alias string
	value bool
	orgID bool
}

// in gives the alias of an org_id; where none is named it is the query's only control table.
func (s side) in(q query) string {
	if !s.orgID {
		return ""
	}
	if s.alias == "" && len(q.names) == 1 {
		return q.names[0].alias
	}
	return s.alias
}

type equality struct{ left, right side }

// equalities gives what a condition surely demands of org_ids: of parts joined by or only what all of them demand.
func equalities(cond []token) []equality {
	branches := split(cond, "or")
	if len(branches) == 1 {
		var out []equality
		for _, part := range split(cond, "and") {
			out = append(out, fact(part)...)
		}
		return out
	}
	common := equalities(branches[0])
	for _, b := range branches[1:] {
		others := equalities(b)
		common = slices.DeleteFunc(common, func(e equality) bool { return !slices.Contains(others, e) })
	}
	return common
}

func fact(part []token) []equality {
	if len(part) == 1 && part[0].group != nil && !isQuery(part[0].group) {
		return equalities(part[0].group)
	}
	at := slices.IndexFunc(part, func(t token) bool { return t.text == "=" })
	if at < 0 {
		return nil
	}
	left, right := sideOf(part[:at]), sideOf(part[at+1:])
	if !left.orgID && !right.orgID {
		return nil
	}
	return []equality{{left, right}}
}

func sideOf(tokens []token) side {
	switch {
	case len(tokens) == 1 && tokens[0].value:
		return side{value: true}
	case len(tokens) == 1 && tokens[0].text == "org_id":
		return side{orgID: true}
	case len(tokens) == 3 && tokens[1].text == "." && tokens[2].text == "org_id":
		return side{alias: tokens[0].text, orgID: true}
	}
	return side{}
}

func split(tokens []token, by string) (out [][]token) {
	start := 0
	for i := 0; i <= len(tokens); i++ {
		if i == len(tokens) || tokens[i].word && tokens[i].text == by {
			out = append(out, tokens[start:i])
			start = i + 1
		}
	}
	return out
}

// short is a statement on one line, cut.
func short(sql string) string {
	s := strings.Join(strings.Fields(sql), " ")
	if len(s) > 400 {
		s = s[:400] + "…"
	}
	return s
}
