package handlers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// effectsCounted is how many deletes the service is asked about; of more, the sentences say that they are about the first.
const effectsCounted = 1000

// showDeleteEffects asks the service what the deletes of a plan take along there. The page does not wait for it.
func (s *Server) showDeleteEffects(c echo.Context) error {
	ctx, by := ctxOf(c), actor(c)
	sn, err := s.store.SnapshotByID(ctx, by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	if _, err := s.store.PlanByID(ctx, by, sn.ID, c.Param("plan")); err != nil {
		return err
	}
	items, next, err := s.store.Items(ctx, by, sn.ID, c.Param("plan"), store.ItemsFilter{Op: "delete", State: "planned", Limit: effectsCounted})
	if err != nil {
		return err
	}
	sentences, err := s.deleteEffects(ctx, by, sn, items)
	if err != nil {
		s.log.WarnContext(ctx, "effects of deletes not known", "error", err)
		sentences = []string{"What the service deletes along with them could not be asked: " + core.SentenceOf(err)}
	}
	if next != 0 && len(sentences) > 0 {
		sentences = append(sentences, fmt.Sprintf("Counted over the first %s deletes only.", views.Number(int64(len(items)))))
	}
	return s.render(c, http.StatusOK, views.DeleteEffects(sentences))
}

func (s *Server) deleteEffects(ctx context.Context, by core.Actor, sn store.Snapshot, items []store.Item) ([]string, error) {
	ids := map[string][]string{}
	for _, it := range items {
		ids[it.Table] = append(ids[it.Table], it.RemoteID)
	}
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	var out []string
	for _, t := range sn.Tables {
		if len(ids[t.ID]) == 0 {
			continue
		}
		sentences, err := s.tableEffects(ctx, by, t, ids[t.ID])
		if err != nil {
			return nil, err
		}
		out = append(out, sentences...)
	}
	return out, nil
}

func (s *Server) tableEffects(ctx context.Context, by core.Actor, t store.Table, ids []string) ([]string, error) {
	session, err := s.openSession(ctx, by, t.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	remote, err := session.Table(ctx, t.RemoteID)
	if err != nil {
		return nil, serviceError(err)
	}
	reader, ok := session.(connectors.EffectsReader)
	if !ok {
		return remote.Effects, nil
	}
	sentences, err := reader.DeleteEffects(ctx, remote, ids)
	return sentences, serviceError(err)
}
