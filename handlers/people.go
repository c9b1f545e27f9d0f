package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/internal/events"
	"scratchpaper/store"
)

// hereBody is where a tab says that its person is; everything empty is in the snapshot, and in no table.
type hereBody struct {
	Table  string `json:"table"`
	Record int64  `json:"record"`
	Column string `json:"column"` // slug
	Left   bool   `json:"left"`   // not here any more
}

// peopleJSON is who is in a snapshot, one entry a tab.
type peopleJSON struct {
	Items []events.Place `json:"items"`
}

// showPeople lists who is in a snapshot.
func (s *Server) showPeople(c echo.Context) error {
	by := actor(c)
	sn, err := s.store.SnapshotByID(ctxOf(c), by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	list, err := s.hub.Presence.Who(ctxOf(c), by.Org, sn.ID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, peopleJSON{append([]events.Place{}, list...)})
}

// tellPlace takes where a tab is in a snapshot, and tells the others.
func (s *Server) tellPlace(c echo.Context) error {
	var body hereBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	by := actor(c)
	sn, err := s.store.SnapshotByID(ctxOf(c), by, c.Param("snapshot"))
	if err != nil {
		return err
	}
	if by.Client == "" {
		return core.Errorf(core.Malformed, "The header X-Client has to name the tab.")
	}
	if body.Left {
		err = s.hub.Presence.Leave(ctxOf(c), by.Org, sn.ID, by.Person, by.Client)
	} else if err = checkPlace(sn, body); err == nil {
		err = s.hub.Presence.Here(ctxOf(c), by.Org, sn.ID, events.Place{
			Person: by.Person, Name: by.Name, Client: by.Client, Table: body.Table, Row: body.Record, Column: body.Column,
		})
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// checkPlace refuses a place that the snapshot does not have. Whether there is such a record is not asked: it may be gone by now.
func checkPlace(sn store.Snapshot, at hereBody) error {
	if at.Record < 0 {
		return core.FieldErrorf("/record", "A record's id is not negative.")
	}
	if at.Table == "" {
		if at.Record != 0 || at.Column != "" {
			return core.FieldErrorf("/table", "Name the table of the record and column.")
		}
		return nil
	}
	t, ok := tableIn(sn, []string{at.Table})
	if !ok {
		return core.FieldErrorf("/table", "There is no table %s in this snapshot.", at.Table)
	}
	if _, ok := t.ColumnBySlug(at.Column); !ok && at.Column != "" {
		return core.FieldErrorf("/column", "There is no column %s in this table.", at.Column)
	}
	return nil
}
