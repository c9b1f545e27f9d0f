package wordpress

import (
	"context"
	"net/http"
	"net/url"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// Delete moves records to the trash, or deletes them for good where the connection's settings say so.
func (s *session) Delete(ctx context.Context, table connectors.Table, writes []connectors.Write) ([]connectors.Outcome, error) {
	t, err := s.readable(ctx, table.ID)
	if err != nil {
		return nil, err
	}
	if !t.Deletable {
		return nil, refuse(t.WhyNoDel)
	}
	outcomes := make([]connectors.Outcome, len(writes))
	ids := make([]string, len(writes))
	for i, w := range writes {
		ids[i], outcomes[i].ID = w.ID, w.ID
	}
	held, err := s.byID(ctx, t, t.fields, ids)
	if err != nil {
		return nil, err
	}
	before := map[string]map[string]core.Value{}
	for _, o := range held.objects {
		before[o.id()] = t.stored(o)
	}
	var batch []*one
	for i, w := range writes {
		o := &outcomes[i]
		var there bool
		if o.Before, there = before[w.ID]; !there {
			o.Err = &connectors.Fault{Kind: connectors.Gone, Words: "The record is not there any more, or in the trash already."}
			continue
		}
		delete(before, w.ID) // the next with the same id finds none
		query := url.Values{}
		if s.deletes == goneAlways || !t.trash {
			query.Set("force", "true")
		}
		batch = append(batch, &one{method: http.MethodDelete, id: w.ID, query: query, outcome: o})
	}
	return outcomes, s.sendAll(ctx, t, batch)
}
