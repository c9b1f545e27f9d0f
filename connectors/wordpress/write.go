package wordpress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"scratchpaper/connectors"
)

// one is a write of one record that is about to be sent.
type one struct {
	method  string
	id      string // "" creates
	query   url.Values
	body    map[string]any
	apart   bool // it may be written while another one is: see apart
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
			batch = append(batch, &one{method: http.MethodPost, id: w.ID, body: body, apart: t.apart(w), outcome: o})
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
	if err := s.sendTogether(ctx, t, together); err != nil {
		return err
	}
	if len(together) == 0 {
		return s.sendSingly(ctx, t, alone)
	}
	return s.sendRest(ctx, t, alone)
}

// sendRest sends one request for each record where others of the call are written already: it fails by record, never as a whole.
func (s *session) sendRest(ctx context.Context, t *table, writes []*one) error {
	err := s.sendSingly(ctx, t, writes)
	var f *connectors.Fault
	if !errors.As(err, &f) {
		return err
	}
	for i, w := range writes {
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

// apartFields are the texts that WordPress writes without a look at other records. Slugs, states and dates, terms and what is sticky are not
// among them: it reads a number or a list, and writes it back changed, so that of two writes at once one may be lost.
var apartFields = []string{"title", "content", "excerpt", "caption", "alt_text"}

// apart says whether a write may be sent while another one is on its way.
func (t *table) apart(w connectors.Write) bool {
	for id := range w.Values {
		if !slices.Contains(apartFields, id) && !strings.HasPrefix(id, "meta.") {
			return false
		}
	}
	return t.kind == typeKind
}

// leastApart is how many writes are worth two requests at once: each begins with starting WordPress, which takes as long as two records.
const leastApart = 8

// sendTogether sends writes in batches: in two at once where no write minds another, since a site answers a request with one of its processes.
func (s *session) sendTogether(ctx context.Context, t *table, writes []*one) error {
	if len(writes) < leastApart || len(writes) > batchSize || slices.ContainsFunc(writes, func(w *one) bool { return !w.apart }) {
		for part := range slices.Chunk(writes, batchSize) {
			if err := s.sendBatch(ctx, t, part); err != nil {
				return err
			}
		}
		return nil
	}
	halves := [2][]*one{writes[:len(writes)/2], writes[len(writes)/2:]}
	var errs [2]error
	var second sync.WaitGroup
	second.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				errs[1] = &connectors.Fault{Kind: connectors.Unavailable, Words: "The site's answer cannot be read.", Cause: fmt.Errorf("panic: %v", p)}
			}
		}()
		errs[1] = s.sendBatch(ctx, t, halves[1])
	})
	errs[0] = s.sendBatch(ctx, t, halves[0])
	second.Wait()
	if alike(errs[0], errs[1]) {
		return errs[0]
	}
	for i, half := range halves {
		if err := s.failed(ctx, t, half, errs[i]); err != nil {
			return err
		}
	}
	return nil
}

// alike says whether two requests ended in a way that is told of both as of one.
func alike(a, b error) bool {
	var f, g *connectors.Fault
	if !errors.As(a, &f) || !errors.As(b, &g) {
		return false
	}
	return f.Kind == g.Kind && f.Unsent == g.Unsent
}

// failed tells of each record of a batch what the batch failed of, as others of the call did not. One that was refused for what one of its
// records holds is sent record by record, to find that one: nothing of it is written.
func (s *session) failed(ctx context.Context, t *table, writes []*one, err error) error {
	var f *connectors.Fault
	if !errors.As(err, &f) {
		return err
	}
	switch f.Kind {
	case connectors.RefusedRecord, connectors.RefusedValue, connectors.ConflictFault, connectors.Broken:
		return s.sendRest(ctx, t, writes)
	}
	for _, w := range writes {
		w.outcome.Err = f
	}
	return nil
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
