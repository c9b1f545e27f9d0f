package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// do runs a command over any number of cells. A small one is answered by answer; a large one is a job, which every client is
// told of in the same way.
func (s *Server) do(c echo.Context, b store.Bulk, answer func(res store.BulkResult) error) error {
	res, job, err := s.store.Do(ctxOf(c), actor(c), c.Param("snapshot"), b)
	if err != nil {
		return err
	}
	if job != nil {
		return accepted(c, *job)
	}
	return answer(res)
}

func accepted(c echo.Context, j store.Job) error {
	return c.JSON(http.StatusAccepted, jobMadeJSON{jobOut(j)})
}

// doAPI runs a command of the JSON API.
func (s *Server) doAPI(c echo.Context, b store.Bulk) error {
	return s.do(c, b, func(res store.BulkResult) error { return c.JSON(http.StatusOK, resultOut(res.BatchResult)) })
}

// doGrid runs a command of the grid; refused are parts of it that were not even tried.
func (s *Server) doGrid(c echo.Context, b store.Bulk, refused ...store.Refusal) error {
	return s.do(c, b, func(res store.BulkResult) error {
		res.Refused = append(refused, res.Refused...)
		return answerWrite(c, res.BatchResult, nil)
	})
}

// doPage runs a command of a plain form: a small one leads to where answer says, a large one to its job.
func (s *Server) doPage(c echo.Context, b store.Bulk, answer func(res store.BulkResult) string) error {
	res, job, err := s.store.Do(ctxOf(c), actor(c), c.Param("snapshot"), b)
	if err != nil {
		return err
	}
	if job != nil {
		return see(c, "/jobs/"+job.ID)
	}
	return see(c, answer(res))
}

// jobResult gives a job's result as the API shows it: of a command, what a small one answers at once.
func jobResult(j store.Job) json.RawMessage {
	var out any
	switch res, ok := j.BulkResult(); {
	case ok && res.Plan != nil:
		out = revertOut(store.Reverted{Plan: *res.Plan, Left: res.Left, MoreLeft: res.MoreLeft})
	case ok:
		out = resultOut(res.BatchResult)
	case j.Result == nil:
		return json.RawMessage("null")
	default:
		return j.Result
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// jobAnswer is a job as the grid's outbox follows it: how far it is, and once it is done what the command has done.
type jobAnswer struct {
	jobJSON
	Who    string       `json:"who"`
	Answer *writeAnswer `json:"answer,omitempty"`
}

// answerJob answers a script with a job.
func (s *Server) answerJob(c echo.Context, j store.Job) error {
	out := jobAnswer{jobJSON: jobOut(j), Who: j.PersonName}
	out.Result = json.RawMessage("null") // Answer has it as the grid reads it
	if res, ok := j.BulkResult(); ok {
		if t, err := s.store.TableByID(ctxOf(c), actor(c), store.TableRef{Snapshot: j.Snapshot, Table: res.Table}); err == nil {
			number(t, res.Refused)
			number(t, res.Left)
		}
		answer := writeAnswerOf(res.BatchResult)
		out.Answer = &answer
	}
	return c.JSON(http.StatusOK, out)
}

// number gives refusals the numbers of their columns, of which a job keeps the slugs.
func number(t store.Table, list []store.Refusal) {
	for i, r := range list {
		if col, ok := t.ColumnBySlug(r.Slug); ok {
			list[i].Column = col.Number
		}
	}
}

// busyLine says who is doing what to a table as a job.
type busyLine struct {
	Job     string `json:"job"`
	Label   string `json:"label"`
	Who     string `json:"who"`
	Mine    bool   `json:"mine"`
	Running bool   `json:"running"`
	Done    int64  `json:"done"`
	Total   *int64 `json:"total"`
}

func (s *Server) busyWith(c echo.Context, ref store.TableRef) (*busyLine, error) {
	j, ok, err := s.store.TableJob(ctxOf(c), actor(c), ref)
	if err != nil || !ok {
		return nil, err
	}
	return &busyLine{Job: j.ID, Label: j.Label, Who: j.PersonName, Mine: j.Person == actor(c).Person, Running: j.State == "running",
		Done: j.Progress.Done, Total: j.Progress.Total}, nil
}

// undoLast undoes the person's newest batch in the snapshot.
func (s *Server) undoLast(c echo.Context) error { return s.back(c, false) }

// redoLast takes back the person's newest undo.
func (s *Server) redoLast(c echo.Context) error { return s.back(c, true) }

func (s *Server) back(c echo.Context, redo bool) error {
	b, err := s.store.LastAct(ctxOf(c), actor(c), c.Param("snapshot"), redo)
	if err != nil {
		return err
	}
	return s.doGrid(c, store.Bulk{Kind: "undo", Batch: b.ID})
}

// fillCommand sets the same values in all chosen records.
func fillCommand(t store.Table, w store.Where, values map[int]core.Value, opts store.ChangeOptions) store.Bulk {
	b := store.Bulk{Kind: "set", Table: t.ID, Where: w, Options: opts}
	b.SetValues(t, values)
	return b
}
