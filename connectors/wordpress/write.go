package wordpress

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"scratchpaper/connectors"
)

// one is a write of one record that is about to be sent.
type one struct {
	method  string
	id      string // "" creates
	query   url.Values
	body    map[string]any
	outcome *connectors.Outcome
	answer  object // what the site said
}

func (o *one) route(t *table) string {
	if o.id == "" {
		return t.route
	}
	return t.route + "/" + url.PathEscape(o.id)
}

// Update changes the given fields of records and no others. Each record succeeds or fails by itself.
func (s *session) Update(ctx context.Context, table connectors.Table, updates []connectors.Write) ([]connectors.Outcome, error) {
	t, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if !t.Writable {
		return nil, refuse(t.WhyNot)
	}
	outcomes := make([]connectors.Outcome, len(updates))
	var batch []*one
	for i, w := range updates {
		o := &outcomes[i]
		o.ID = w.ID
		body, fault := t.body(w, func(f *field) string { return f.WhyNot })
		if fault != nil {
			o.Err = fault
			continue
		}
		if o.Err = known(w.ID); o.Err == nil {
			batch = append(batch, &one{method: http.MethodPost, id: w.ID, body: body, outcome: o})
		}
	}
	return outcomes, s.sendAll(ctx, t, batch)
}

func refuse(why string) error {
	return &connectors.Fault{Kind: connectors.NotAllowed, Words: why, Unsent: true}
}

// known refuses what cannot be the id of a record.
func known(id string) *connectors.Fault {
	if (object{"id": json.Number(id)}).number() > 0 {
		return nil
	}
	return &connectors.Fault{Kind: connectors.Gone, Words: "The site has no record with this number."}
}

// sendAll sends writes, together where the site takes several in one request, and reads what became of each.
func (s *session) sendAll(ctx context.Context, t *table, writes []*one) error {
	for _, w := range writes {
		if w.query == nil {
			w.query = url.Values{}
		}
		w.query.Set("_fields", t.members(t.fields))
	}
	if err := s.complete(ctx, t, writes); err != nil {
		return err
	}
	if !t.batch || len(writes) == 1 {
		return s.sendSingly(ctx, t, writes)
	}
	var together, alone []*one
	for _, w := range writes {
		if w.body[acfGroup] != nil { // ACF looks at the address of the request for what may be written
			alone = append(alone, w)
		} else {
			together = append(together, w)
		}
	}
	for part := range slices.Chunk(together, batchSize) {
		if err := s.sendBatch(ctx, t, part); err != nil {
			return err
		}
	}
	err := s.sendSingly(ctx, t, alone)
	var f *connectors.Fault
	if len(together) == 0 || !errors.As(err, &f) {
		return err
	}
	for i, w := range alone { // the others are written
		w.outcome.Err = f
		if i > 0 {
			w.outcome.Err = &connectors.Fault{Kind: connectors.Unavailable, Words: f.Words, Unsent: true, Until: f.Until}
		}
	}
	return nil
}

// complete adds to writes of custom fields those that have to be in each such write, as the site holds them.
func (s *session) complete(ctx context.Context, t *table, writes []*one) error {
	var always []*field
	for _, f := range t.fields {
		if f.always {
			always = append(always, f)
		}
	}
	var ids []string
	for _, w := range writes {
		if w.id != "" && w.body[acfGroup] != nil {
			ids = append(ids, w.id)
		}
	}
	if always == nil || ids == nil {
		return nil
	}
	held, err := s.byID(ctx, t.withTrash(), always, ids)
	if err != nil {
		return err
	}
	objects := map[string]object{}
	for _, o := range held.objects {
		objects[o.id()] = o
	}
	for _, w := range writes {
		group, _ := w.body[acfGroup].(map[string]any)
		o, there := objects[w.id]
		for _, f := range always {
			if _, given := group[f.send[1]]; there && group != nil && !given {
				group[f.send[1]] = o.at(f.path)
			}
		}
	}
	return nil
}

// sendSingly sends one request for each record. When one breaks off, those after it are not sent.
func (s *session) sendSingly(ctx context.Context, t *table, writes []*one) error {
	for i, w := range writes {
		r := request{method: w.method, route: w.route(t), query: w.query, writes: true}
		if w.body != nil {
			r.body = w.body
		}
		a, err := s.call(ctx, r, &w.answer)
		if err == nil {
			w.take(t, clock(a.header))
			continue
		}
		var f *connectors.Fault
		if !errors.As(err, &f) {
			return err
		}
		switch f.Kind {
		case connectors.Unavailable, connectors.SignedOut, connectors.Limited, connectors.Broken:
			if i == 0 {
				return f
			}
			w.outcome.Err = f
			for _, rest := range writes[i+1:] {
				rest.outcome.Err = &connectors.Fault{Kind: connectors.Unavailable, Words: f.Words, Unsent: true, Until: f.Until}
			}
			return nil
		}
		w.outcome.Err = s.located(t, f)
	}
	return nil
}

// located gives a refusal with the field that it is about.
func (s *session) located(t *table, f *connectors.Fault) *connectors.Fault {
	var refusal *refusal
	if errors.As(f.Cause, &refusal) {
		return s.restFault(refusal.restError, refusal.status, t)
	}
	return f
}

// batchAnswer is the answer to several requests in one.
type batchAnswer struct {
	Responses []struct {
		Body   json.RawMessage `json:"body"`
		Status int             `json:"status"`
	} `json:"responses"`
}

func (s *session) sendBatch(ctx context.Context, t *table, writes []*one) error {
	type part struct {
		Method string         `json:"method"`
		Path   string         `json:"path"`
		Body   map[string]any `json:"body,omitempty"`
	}
	parts := make([]part, len(writes))
	for i, w := range writes {
		parts[i] = part{w.method, w.route(t) + "?" + w.query.Encode(), w.body}
	}
	var got batchAnswer
	a, err := s.call(ctx, request{method: http.MethodPost, route: "/batch/v1", body: map[string]any{"validation": "normal", "requests": parts}, writes: true}, &got)
	if err != nil {
		return err
	}
	if len(got.Responses) != len(writes) {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "The site did not answer for every record of the request."}
	}
	now := clock(a.header)
	for i, w := range writes {
		if err := s.part(t, w, got.Responses[i].Body, got.Responses[i].Status, now); err != nil {
			return err
		}
	}
	return nil
}

// part reads what became of one record of a batch.
func (s *session) part(t *table, w *one, body json.RawMessage, status int, now time.Time) error {
	if status >= 400 {
		var e restError
		if err := json.Unmarshal(body, &e); err != nil || e.Code == "" {
			e = restError{Code: "unknown", Message: "The site refused this record without a reason."}
		}
		w.outcome.Err = s.restFault(e, status, t)
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&w.answer); err != nil {
		return &connectors.Fault{Kind: connectors.Unavailable, Words: "The site's answer for a record cannot be read.", Cause: err}
	}
	w.take(t, now)
	return nil
}

// take makes an outcome of a record that the site answered with.
func (w *one) take(t *table, now time.Time) {
	if w.method == http.MethodDelete {
		return
	}
	if w.answer.id() == "" {
		w.outcome.Err = &connectors.Fault{Kind: connectors.Unavailable, Words: "The site did not say which record it wrote."}
		return
	}
	w.outcome.ID, w.outcome.Version, w.outcome.Stored = w.answer.id(), t.version(w.answer, now), t.stored(w.answer)
}
