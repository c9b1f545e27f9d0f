package handlers

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

type snapshotJSON struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	CreatedAt time.Time   `json:"created_at"`
	CreatedBy string      `json:"created_by"`
	Tables    []tableJSON `json:"tables"`
}

type tableJSON struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	RemoteTable  string       `json:"remote_table"`
	Description  string       `json:"description"`
	Connection   string       `json:"connection,omitempty"`
	Writable     bool         `json:"writable"`
	Creatable    bool         `json:"creatable"`
	Deletable    bool         `json:"deletable"`
	WhyNot       string       `json:"why_not,omitempty"`
	Version      int64        `json:"version"`
	DownloadedAt *time.Time   `json:"downloaded_at"`
	Columns      []columnJSON `json:"columns"`
	Counts       core.Counts  `json:"counts"`
}

type columnJSON struct {
	ID          string      `json:"id"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Type        string      `json:"type"`
	Writable    bool        `json:"writable"`
	WhyNot      string      `json:"why_not,omitempty"`
	Choices     []string    `json:"choices,omitempty"`
	Target      string      `json:"target,omitempty"`
	Required    bool        `json:"required,omitempty"`
	Unique      bool        `json:"unique,omitempty"`
	Source      string      `json:"source"`
	Width       int         `json:"width"`
	Rules       []string    `json:"rules"`
	Locks       []core.Lock `json:"locks"`
}

func snapshotOut(sn store.Snapshot) snapshotJSON {
	out := snapshotJSON{ID: sn.ID, Name: sn.Name, CreatedAt: sn.CreatedAt, CreatedBy: sn.CreatedBy, Tables: []tableJSON{}}
	for _, t := range sn.Tables {
		out.Tables = append(out.Tables, tableOut(t))
	}
	return out
}

func tableOut(t store.Table) tableJSON {
	out := tableJSON{ID: t.ID, Name: t.Title, Description: t.Description, RemoteTable: t.RemoteID, Connection: t.Connection, Writable: t.Writable, Creatable: t.Creatable, Deletable: t.Deletable,
		WhyNot: t.WhyNot, Version: t.Version, DownloadedAt: t.DownloadedAt, Columns: []columnJSON{}, Counts: t.Counts}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, columnJSON{ID: c.Slug, Title: c.Title, Description: c.Description, Width: c.Width, Type: string(c.Type), Writable: c.Writable, WhyNot: c.WhyNot,
			Choices: c.Options.Choices, Target: c.Options.TargetTable, Required: c.Options.Required, Unique: c.Options.Unique, Source: string(c.Source),
			Rules: []string{}, Locks: append([]core.Lock{}, c.Locks...)})
	}
	return out
}

func (s *Server) listSnapshots(c echo.Context) error {
	sns, err := s.store.Snapshots(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	page, next, err := pageOf(c, sns, func(sn store.Snapshot) string { return newestFirst(sn.CreatedAt, sn.ID) })
	if err != nil {
		return err
	}
	if err := s.store.WithColumns(ctxOf(c), actor(c), page); err != nil {
		return err
	}
	return answerList(c, page, next, snapshotOut)
}

func (s *Server) getSnapshot(c echo.Context) error {
	sn, err := s.store.SnapshotByID(ctxOf(c), actor(c), c.Param("snapshot"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, snapshotOut(sn))
}

type newSnapshotBody struct {
	Name   string         `json:"name"`
	Tables []newTableBody `json:"tables"`
}

// newTableBody is a remote table to be taken; without columns all that can be read.
type newTableBody struct {
	Connection  string   `json:"connection"`
	RemoteTable string   `json:"remote_table"`
	Columns     []string `json:"columns"`
}

type snapshotMadeJSON struct {
	Snapshot snapshotJSON `json:"snapshot"`
	Job      jobJSON      `json:"job"`
}

type sampleMadeJSON struct {
	Connection connectionJSON `json:"connection"`
	Snapshot   snapshotJSON   `json:"snapshot"`
	Job        jobJSON        `json:"job"`
}

type jobMadeJSON struct {
	Job jobJSON `json:"job"`
}

func (s *Server) postSnapshot(c echo.Context) error {
	var body newSnapshotBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	tables, err := s.wantedTables(c, body.Tables)
	if err != nil {
		return err
	}
	sn, job, err := s.store.CreateSnapshot(ctxOf(c), actor(c), store.NewSnapshot{Name: body.Name, Tables: tables})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, snapshotMadeJSON{snapshotOut(sn), jobOut(job)})
}

// wantedTables describes remote tables as they are to be taken.
func (s *Server) wantedTables(c echo.Context, wanted []newTableBody) ([]store.NewTable, error) {
	var tables []store.NewTable
	for i, want := range wanted {
		t, err := s.remoteTable(ctxOf(c), actor(c), want.Connection, want.RemoteTable, want.Columns)
		if err != nil {
			return nil, pointed(err, "/tables/"+itoa(i))
		}
		tables = append(tables, t)
	}
	return tables, nil
}

type moreTablesBody struct {
	Tables []newTableBody `json:"tables"`
}

// postTables takes more tables into a snapshot, or more columns of those that are in it; without columns all that can be read.
func (s *Server) postTables(c echo.Context) error {
	var body moreTablesBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if err := s.store.HasSnapshot(ctxOf(c), actor(c), c.Param("snapshot")); err != nil {
		return err
	}
	tables, err := s.wantedTables(c, body.Tables)
	if err != nil {
		return err
	}
	job, err := s.store.AddTables(ctxOf(c), actor(c), c.Param("snapshot"), tables)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(job)})
}

// pointed puts a pointer in front of an error about something in a list.
func pointed(err error, pointer string) error {
	e := ours(err)
	if len(e.Fields) == 0 && e.Code == core.Invalid {
		e.Fields = []core.FieldError{{Pointer: pointer, Detail: e.Sentence}}
	}
	return e
}

// remoteTable describes a remote table as it is to be taken into a snapshot; no columns: all that can be read.
func (s *Server) remoteTable(ctx context.Context, by core.Actor, connection, remote string, columns []string) (store.NewTable, error) {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	session, err := s.openSession(ctx, by, connection)
	if err != nil {
		return store.NewTable{}, err
	}
	defer session.Close()
	t, err := session.Table(ctx, remote)
	if err != nil {
		return store.NewTable{}, serviceError(err)
	}
	if !t.Readable {
		return store.NewTable{}, core.Errorf(core.Invalid, "%s cannot be downloaded: %s", t.Name, t.WhyNot)
	}
	want, there := map[string]bool{}, map[string]bool{}
	for _, f := range t.Columns {
		there[f.ID] = true
	}
	for _, f := range columns {
		if want[f] = true; !there[f] {
			return store.NewTable{}, core.Errorf(core.Invalid, "%s has no column %s.", t.Name, f)
		}
	}
	return newTable(chosenTable{Connection: connection, Remote: t, Fields: want})
}

type patchSnapshotBody struct {
	Name string `json:"name"`
}

func (s *Server) patchSnapshot(c echo.Context) error {
	var body patchSnapshotBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if err := s.store.RenameSnapshot(ctxOf(c), actor(c), c.Param("snapshot"), body.Name); err != nil {
		return err
	}
	return s.getSnapshot(c)
}

func (s *Server) apiDeleteSnapshot(c echo.Context) error {
	if err := s.store.DeleteSnapshot(ctxOf(c), actor(c), c.Param("snapshot")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type tablesBody struct {
	Tables []string `json:"tables"`
}

func (s *Server) postRefresh(c echo.Context) error {
	var body tablesBody
	if err := readJSON(c, &body); err != nil {
		return err
	}
	job, err := s.store.RefreshSnapshot(ctxOf(c), actor(c), c.Param("snapshot"), body.Tables)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(job)})
}

func (s *Server) listTables(c echo.Context) error {
	sn, err := s.store.SnapshotByID(ctxOf(c), actor(c), c.Param("snapshot"))
	if err != nil {
		return err
	}
	return answerPage(c, sn.Tables, func(t store.Table) string { return fmt.Sprintf("%09d %s", t.Position, t.ID) }, tableOut)
}

func (s *Server) getTable(c echo.Context) error {
	t, err := s.store.TableByID(ctxOf(c), actor(c), refOf(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tableOut(t))
}

// takeSample makes the sample's connection, unless it is there, and a snapshot of all its tables, the largest first.
func (s *Server) takeSample(ctx context.Context, by core.Actor) (con store.Connection, sn store.Snapshot, job store.Job, err error) {
	if s.sample == nil {
		return con, sn, job, core.Errorf(core.Conflict, "There is no sample here: the app runs on a database of yours. Set SAMPLE_DATABASE_URL to have one.")
	}
	n, err := s.sample(ctx)
	if err != nil {
		return con, sn, job, err
	}
	con, err = s.store.SampleConnection(ctx, by)
	if core.CodeOf(err) == core.NotFound {
		n.Sample = true
		con, err = s.store.CreateConnection(ctx, by, n)
	}
	if err != nil {
		return con, sn, job, err
	}
	tables, _, err := s.remoteTables(ctx, by, con.ID, 0)
	if err != nil {
		return con, sn, job, err
	}
	sort.SliceStable(tables, func(i, j int) bool { return tables[i].Estimate > tables[j].Estimate })
	want := store.NewSnapshot{Name: "Places of the world"}
	for _, t := range tables {
		nt, err := newTable(chosenTable{Connection: con.ID, Remote: t})
		if err != nil {
			return con, sn, job, err
		}
		want.Tables = append(want.Tables, nt)
	}
	sn, job, err = s.store.CreateSnapshot(ctx, by, want)
	return con, sn, job, err
}

func (s *Server) postSample(c echo.Context) error {
	con, sn, job, err := s.takeSample(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, sampleMadeJSON{connectionOut(con), snapshotOut(sn), jobOut(job)})
}
