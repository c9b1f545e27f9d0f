package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/views"
)

// scheduleView is when a snapshot is refreshed by itself, for its settings page.
func (s *Server) scheduleView(c echo.Context, snapshot string) (v views.ScheduleView, err error) {
	sc, set, err := s.store.ScheduleOf(ctxOf(c), actor(c), snapshot)
	if err != nil {
		return v, err
	}
	at, zone := "02:30", "UTC"
	if here := zoneOf(c); here != nil {
		zone = here.String()
	}
	if set {
		at, zone = sc.At(), sc.Zone
		v = views.ScheduleView{Set: true, Next: views.MomentOf(&sc.NextAt), Who: sc.Who, Last: views.MomentOf(sc.StartedAt), Job: sc.Job, Words: sc.Words}
	}
	v.At = views.Field{Name: "at", Label: "At", Value: at, Placeholder: "02:30", Required: true}
	v.Zone = views.Field{Name: "zone", Label: "Zone", Value: zone, Placeholder: "Europe/Brussels", Required: true}
	return v, nil
}

// setSchedule says when a snapshot is refreshed by itself, or that it is not.
func (s *Server) setSchedule(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	id, at, zone := c.Param("snapshot"), c.FormValue("at"), c.FormValue("zone")
	err := s.store.SetSchedule(ctxOf(c), actor(c), id, at, zone)
	var refused *core.Error
	if errors.As(err, &refused) && refused.Code == core.Invalid {
		wrong := views.Field{Name: "at", Label: "At", Value: at, Required: true, Error: refused.Sentence}
		if len(refused.Fields) > 0 && refused.Fields[0].Pointer == "/zone" {
			wrong.Name, wrong.Label, wrong.Value = "zone", "Zone", zone
		}
		return s.answerSnapshotSettings(c, http.StatusUnprocessableEntity, &wrong)
	}
	if err != nil {
		return err
	}
	return see(c, "/snapshots/"+id+"/settings")
}

// scheduleJSON is a schedule as the API shows it; without an "at" there is none.
type scheduleJSON struct {
	At        *string    `json:"at"`
	Zone      *string    `json:"zone"`
	NextAt    *time.Time `json:"next_at"`
	Who       string     `json:"who"`
	StartedAt *time.Time `json:"started_at"`
	Job       *string    `json:"job"`
	Words     string     `json:"words"`
}

type scheduleBody struct {
	At   string `json:"at"`
	Zone string `json:"zone"`
}

func (s *Server) getSchedule(c echo.Context) error {
	sc, set, err := s.store.ScheduleOf(ctxOf(c), actor(c), c.Param("snapshot"))
	if err != nil {
		return err
	}
	var out scheduleJSON
	if set {
		at := sc.At()
		out = scheduleJSON{At: &at, Zone: &sc.Zone, NextAt: &sc.NextAt, Who: sc.Who, StartedAt: sc.StartedAt, Words: sc.Words}
		if sc.Job != "" {
			out.Job = &sc.Job
		}
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) patchSchedule(c echo.Context) error {
	var body scheduleBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if err := s.store.SetSchedule(ctxOf(c), actor(c), c.Param("snapshot"), body.At, body.Zone); err != nil {
		return err
	}
	return s.getSchedule(c)
}
