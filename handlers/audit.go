package handlers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/store"
	"scratchpaper/views"
)

// showAudit is the page of the organization's log, newest first.
func (s *Server) showAudit(c echo.Context) error {
	f, err := auditFilter(c)
	if err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	entries, err := s.store.AuditLog(ctx, by, f)
	if err != nil {
		return err
	}
	acts, err := s.store.AuditActs(ctx, by)
	if err != nil {
		return err
	}
	p, err := s.page(c, "Audit log", "audit")
	if err != nil {
		return err
	}
	v := views.AuditView{Act: f.Act, Acts: append([]views.Choice{{Text: "everything"}}, views.PlainChoices(acts)...), Export: "/audit.jsonl"}
	for _, e := range entries {
		v.Lines = append(v.Lines, views.AuditLine{At: e.At, Who: e.Who, Kind: e.Kind, Act: e.Act, Target: e.Target, Details: detailWords(e.Details), Address: e.Address})
	}
	if f.Act != "" {
		v.Export += "?act=" + url.QueryEscape(f.Act)
	}
	if len(entries) == 100 {
		v.Older = "/audit?" + url.Values{"act": {f.Act}, "before": {strconv.FormatInt(entries[99].ID, 10)}}.Encode()
	}
	return s.render(c, http.StatusOK, views.Audit(p, v))
}

func auditFilter(c echo.Context) (store.AuditFilter, error) {
	before, err := numberParam(c, "before")
	return store.AuditFilter{Act: c.QueryParam("act"), Person: c.QueryParam("person"), Before: before}, err
}

func detailWords(details map[string]string) string {
	words := make([]string, 0, len(details))
	for name, value := range details {
		words = append(words, name+" "+value)
	}
	slices.Sort(words)
	return strings.Join(words, " · ")
}

// auditPage is how many lines of the log are read at a time.
const auditPage = 1000

type auditJSON struct {
	ID      int64             `json:"id"`
	At      time.Time         `json:"at"`
	Person  string            `json:"person"`
	Who     string            `json:"who"`
	Kind    string            `json:"kind"`
	Act     string            `json:"act"`
	Target  string            `json:"target"`
	Details map[string]string `json:"details"`
	Address string            `json:"address"`
}

// exportAudit answers with the log as JSON Lines, newest first, a page at a time. A failure half-way breaks it off, so that it does not look
// whole.
func (s *Server) exportAudit(c echo.Context) error {
	f, err := auditFilter(c)
	if err != nil {
		return err
	}
	f.Limit = auditPage
	page, err := s.store.AuditLog(ctxOf(c), actor(c), f)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/jsonl")
	h.Set(echo.HeaderContentDisposition, `attachment; filename="audit.jsonl"`)
	c.Response().WriteHeader(http.StatusOK)
	out := json.NewEncoder(c.Response())
	for {
		for _, e := range page {
			if err := out.Encode(auditJSON(e)); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if len(page) < auditPage {
			return nil
		}
		f.Before = page[len(page)-1].ID
		if page, err = s.store.AuditLog(ctxOf(c), actor(c), f); err != nil {
			s.log.WarnContext(ctxOf(c), "audit log broken off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}
