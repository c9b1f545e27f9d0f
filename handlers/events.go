package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
)

// streamEvents is the browser's one event stream. Every topic is checked against the caller's organization, at the beginning
// and again while the stream lasts.
func (s *Server) streamEvents(c echo.Context) error {
	topics, err := events.ParseTopics(c.QueryParams()["topic"])
	if err != nil {
		return err
	}
	by := actor(c)
	carried, err := s.heardTopics(ctxOf(c), by, topics)
	if err != nil {
		return err
	}
	request := c.Request().Clone(ctxOf(c)) // the context itself goes on to another request when this one ends
	sub := events.Subscription{Org: by.Org, Person: by.Person, Named: strings.HasPrefix(c.Path(), "/api/")}
	for _, t := range carried {
		sub.Topics = append(sub.Topics, t.Name)
	}
	sub.Session = func(ctx context.Context) bool { return s.stillHears(ctx, request, by, carried) }
	return s.hub.Stream(c.Response(), c.Request(), sub)
}

// heardTopics gives the topics that an actor may hear. One that is gone, or somebody else's, does not take the others with it:
// they are those of all the browser's tabs.
func (s *Server) heardTopics(ctx context.Context, by core.Actor, topics []events.Topic) ([]events.Topic, error) {
	var heard []events.Topic
	for _, t := range topics {
		var err error
		switch {
		case by.Snapshot != "" && t.Snapshot == "" && t.Job == "":
			continue // every job of the organization, and what concerns a person
		case t.Snapshot != "":
			err = s.store.HasSnapshot(ctx, by, t.Snapshot)
		case t.Job != "":
			_, err = s.store.JobByID(ctx, by, t.Job)
		}
		if core.CodeOf(err) == core.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		heard = append(heard, t)
	}
	return heard, nil
}

// stillHears asks again who it is that listens, and whether each topic is still theirs. What cannot be found out counts as no:
// the browser comes back and is told.
func (s *Server) stillHears(ctx context.Context, request *http.Request, by core.Actor, carried []events.Topic) bool {
	again, err := s.identify(request.WithContext(ctx))
	if err != nil || again.Org != by.Org || again.Person != by.Person {
		return false
	}
	heard, err := s.heardTopics(ctx, again, carried)
	return err == nil && slices.Equal(heard, carried)
}
