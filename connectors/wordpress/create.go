package wordpress

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// WordPress numbers its records, and keeps nothing of ours that a record could be found by, but for the slug: a draft may have any,
// also one that others have. So a create first makes a draft whose slug is the write's token; when its number is written down, Finish
// gives it the slug and the status that were asked for. A lost answer leaves a draft that is found by its slug.

// draft is the status of a record that is not finished.
const draft = "draft"

var tokenPattern = regexp.MustCompile(`[^a-z0-9]+`)

// marked gives the slug that marks an unfinished record.
func marked(token string) string {
	if token == "" {
		return ""
	}
	return "scratchpaper-" + strings.Trim(tokenPattern.ReplaceAllString(strings.ToLower(token), "-"), "-")
}

// Reserve gives nothing: WordPress numbers records when it makes them.
func (s *session) Reserve(context.Context, connectors.Table, int) ([]string, error) { return nil, nil }

func (s *session) creatable(ctx context.Context, id string) (*table, error) {
	t, err := s.readable(ctx, id)
	if err == nil && !t.Creatable {
		err = refuse(t.WhyNoNew)
	}
	return t, err
}

// creation is a record to create, on its way.
type creation struct {
	connectors.Write
	body    map[string]any
	outcome *connectors.Outcome
}

func (t *table) creations(writes []connectors.Write, outcomes []connectors.Outcome) []*creation {
	var list []*creation
	for i, w := range writes {
		body, fault := t.body(w, func(f *field) string { return f.WhyNot })
		outcomes[i].ID = w.ID
		if fault == nil && marked(w.Token) == "" {
			fault = &connectors.Fault{Kind: connectors.Broken, Words: "A record cannot be created without a token."}
		}
		if fault != nil {
			outcomes[i].Err = fault
			continue
		}
		list = append(list, &creation{w, body, &outcomes[i]})
	}
	return list
}

// Create makes drafts, see Finish. A write with an ID is of a record that was there: one in the trash is brought back, in one step.
func (s *session) Create(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	t, err := s.creatable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	outcomes := make([]connectors.Outcome, len(writes))
	list := t.creations(writes, outcomes)
	there, err := s.findAll(ctx, t, list)
	if err != nil {
		return nil, err
	}
	var batch []*one
	for _, c := range list {
		found, now := there[c.outcome].object, there[c.outcome].window.now
		switch {
		case found == nil:
			batch = append(batch, &one{method: http.MethodPost, body: t.unfinished(c), outcome: c.outcome})
		case t.isMarked(found, c.Token):
			c.outcome.ID, c.outcome.Existing = found.id(), true
		case found.text("status") == "trash":
			back := *c
			back.body = t.differing(c, found)
			batch = append(batch, &one{method: http.MethodPost, id: found.id(), body: t.finished(&back), outcome: c.outcome})
		case c.Repeat && t.holds(found, c.Values):
			c.outcome.ID, c.outcome.Existing = found.id(), true
			c.outcome.Stored, c.outcome.Version = t.stored(found), t.version(found, now)
		default:
			c.outcome.Err = &connectors.Fault{Kind: connectors.RefusedRecord, Words: "The record " + found.id() + " is there already, and holds something else."}
		}
	}
	return outcomes, s.sendAll(ctx, t, batch)
}

// unfinished is what the first step sends.
func (t *table) unfinished(c *creation) map[string]any {
	body := map[string]any{}
	for k, v := range c.body {
		body[k] = v
	}
	body["slug"] = marked(c.Token)
	if t.kind == typeKind {
		body["status"] = draft
	}
	return body
}

// finished is what the second step sends: the slug and status that were asked for, and with the status also the date, which WordPress
// sets anew when a draft without one is published.
func (t *table) finished(c *creation) map[string]any {
	body := map[string]any{}
	if c.ID != "" {
		for k, v := range c.body {
			body[k] = v
		}
	}
	body["slug"] = ""
	if slug, ok := c.body["slug"]; ok {
		body["slug"] = slug
	}
	if t.kind == typeKind {
		body["status"] = draft
		if status, ok := c.body["status"].(string); ok && status != "" {
			body["status"] = status
		}
	}
	return body
}

// differing gives of what is to be sent what a record in the trash does not hold already, with the slug and status, which the trash
// has changed. The date of a draft moves with each save as long as nobody sends one.
func (t *table) differing(c *creation, held object) map[string]any {
	body := map[string]any{}
	for id, v := range c.Values {
		f := t.field(id)
		if id != "slug" && id != "status" && f.same(v, f.value(held)) {
			continue
		}
		if x, err := f.json(v); err == nil { // was tried before
			put(body, f.send, x)
		}
	}
	return body
}

func (t *table) isMarked(o object, token string) bool { return o.text("slug") == marked(token) }

// holds says whether a record holds what was sent.
func (t *table) holds(o object, values map[string]core.Value) bool {
	for id, v := range values {
		f := t.field(id)
		if f == nil || f.shape == jsonShape && core.SameJSON(v.Text, f.value(o).Text) {
			continue
		}
		if !f.same(v, f.value(o)) {
			return false
		}
	}
	return true
}

// same compares what was sent with what is held: an empty text is sent for none.
func (f *field) same(sent, held core.Value) bool {
	switch {
	case f.shape == idsShape:
		return slices.Equal(sorted(sent.List), sorted(held.List))
	case sent.IsNull():
		return held.IsNull() || held.Plain() == "" || held.Text == "0" || held.Text == "false"
	case f.Type == core.Number && !held.IsNull():
		return core.SameNumber(sent.Text, held.Text)
	}
	return sent.Equal(held)
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// found is a record of a create that was begun before.
type found struct {
	object object
	window window
}

// findAll looks for records that creates may have made already: by number where it was written down, else by the mark.
func (s *session) findAll(ctx context.Context, t *table, list []*creation) (map[*connectors.Outcome]found, error) {
	out := map[*connectors.Outcome]found{}
	var ids []string
	for _, c := range list {
		if c.ID != "" {
			ids = append(ids, c.ID)
		}
	}
	numbered := map[string]found{}
	if ids != nil {
		w, err := s.byID(ctx, t.withTrash(), t.fields, ids)
		if err != nil {
			return nil, err
		}
		for _, o := range w.objects {
			numbered[o.id()] = found{o, w}
		}
	}
	var tokens []string
	for _, c := range list {
		if f, ok := numbered[c.ID]; ok {
			out[c.outcome] = f
		} else if c.Repeat {
			tokens = append(tokens, c.Token)
		}
	}
	marks := map[string]found{}
	for part := range slices.Chunk(tokens, markBatch) {
		if err := s.byMarks(ctx, t, part, marks); err != nil {
			return nil, err
		}
	}
	for _, c := range list {
		if f, ok := marks[marked(c.Token)]; ok && c.Repeat && out[c.outcome].object == nil {
			out[c.outcome] = f
		}
	}
	return out, nil
}

// withTrash is the table with the records in the trash.
func (t *table) withTrash() *table {
	if !t.trash {
		return t
	}
	all := *t
	all.statuses = append(slices.Clone(t.statuses), "trash")
	return &all
}

// markBatch is how many marks one request asks for: each takes some fifty characters of its address, of which servers take 8,000.
const markBatch = 50

// byMarks puts the unfinished records of tokens into a map, by their marks. Where more are there than one page shows, halves are asked for.
func (s *session) byMarks(ctx context.Context, t *table, tokens []string, into map[string]found) error {
	slugs := make([]string, len(tokens))
	for i, token := range tokens {
		slugs[i] = marked(token)
	}
	q := t.query(t.fields)
	q.Set("slug", strings.Join(slugs, ","))
	q.Set("per_page", strconv.Itoa(pageSize))
	w, err := s.list(ctx, t, q)
	if err != nil {
		return err
	}
	if half := len(tokens) / 2; w.total > pageSize && half > 0 {
		return cmp.Or(s.byMarks(ctx, t, tokens[:half], into), s.byMarks(ctx, t, tokens[half:], into))
	}
	for _, o := range slices.Backward(w.objects) { // the oldest stays
		into[o.text("slug")] = found{o, w}
	}
	return nil
}

// Finish gives drafts the slug and status that were asked for. One that the site refuses is taken away again.
func (s *session) Finish(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	t, err := s.creatable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	outcomes := make([]connectors.Outcome, len(writes))
	list := t.creations(writes, outcomes)
	there, err := s.findAll(ctx, t, list)
	if err != nil {
		return nil, err
	}
	var batch []*one
	for _, c := range list {
		f, ok := there[c.outcome]
		switch {
		case !ok:
			c.outcome.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The draft was deleted at the site before it was finished."}
		case t.isMarked(f.object, c.Token):
			unnumbered := *c
			unnumbered.ID = ""
			batch = append(batch, &one{method: http.MethodPost, id: c.ID, body: t.finished(&unnumbered), outcome: c.outcome})
		default:
			c.outcome.Stored, c.outcome.Version = t.stored(f.object), t.version(f.object, f.window.now)
		}
	}
	err = s.sendAll(ctx, t, batch)
	var f *connectors.Fault
	if errors.As(err, &f) && refusedFor(f) {
		for _, w := range batch {
			w.outcome.Err = f
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	s.takeAway(ctx, t, batch)
	return outcomes, nil
}

// refusedFor says whether trying again will not help.
func refusedFor(f *connectors.Fault) bool {
	switch f.Kind {
	case connectors.RefusedRecord, connectors.RefusedValue, connectors.NotAllowed, connectors.Broken:
		return true
	}
	return false
}

// takeAway deletes the drafts of creates that were refused in the second step: nobody has seen them.
func (s *session) takeAway(ctx context.Context, t *table, batch []*one) {
	for _, w := range batch {
		f := w.outcome.Err
		if f == nil || !refusedFor(f) {
			continue
		}
		_, err := s.call(ctx, request{method: http.MethodDelete, route: w.route(t), query: url.Values{"force": {"true"}}, writes: true}, nil)
		if err != nil {
			left := *f
			left.Words = s.words(f.Words + " What was begun is there as a draft with the number " + w.id + ".")
			w.outcome.Err = &left
		}
	}
}

// Recognise looks for records whose create was never answered. One that is not finished counts as not there: creating it once more
// goes on with it.
func (s *session) Recognise(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	t, err := s.creatable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	outcomes := make([]connectors.Outcome, len(writes))
	list := t.creations(writes, outcomes)
	for _, c := range list {
		c.Repeat = true
	}
	there, err := s.findAll(ctx, t, list)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		f, ok := there[c.outcome]
		if !ok || t.isMarked(f.object, c.Token) || f.object.text("status") == "trash" {
			c.outcome.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The record was not created."}
			continue
		}
		c.outcome.ID, c.outcome.Existing = f.object.id(), true
		c.outcome.Stored, c.outcome.Version = t.stored(f.object), t.version(f.object, f.window.now)
	}
	return outcomes, nil
}
