package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// statusOf is the one place where codes become statuses.
func statusOf(code core.Code) int {
	switch code {
	case core.Invalid:
		return http.StatusUnprocessableEntity
	case core.Malformed:
		return http.StatusBadRequest
	case core.NotFound:
		return http.StatusNotFound
	case core.Forbidden:
		return http.StatusForbidden
	case core.Unauthorized:
		return http.StatusUnauthorized
	case core.Conflict, core.Busy:
		return http.StatusConflict
	case core.TooLarge:
		return http.StatusRequestEntityTooLarge
	case core.TooMany:
		return http.StatusTooManyRequests
	case core.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// shownAgain gives the status of a page that is shown again with what was wrong, once place has put that where it belongs; of one that is
// shown as it is, 200. What is no error of ours is the answer itself.
func shownAgain(wrong error, place func(e *core.Error)) (status int, err error) {
	if wrong == nil {
		return http.StatusOK, nil
	}
	e := ours(wrong)
	if e.Code == core.Internal {
		return 0, wrong
	}
	place(e)
	return statusOf(e.Code), nil
}

// ours gives err as an Error of ours; what is not gets the code internal and a sentence that shows nothing.
func ours(err error) *core.Error {
	var e *core.Error
	if errors.As(err, &e) {
		return e
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return core.Wrap(err, core.TooLarge, "That is larger than the %s that one request takes.", views.Bytes(tooLarge.Limit))
	}
	var h *echo.HTTPError
	if errors.As(err, &h) {
		return fromEcho(h)
	}
	if failure := store.Failure(err); errors.As(failure, &e) && e.Code == core.Invalid {
		return e
	}
	if store.Interrupted(err) {
		return &core.Error{Code: core.Unavailable, Sentence: "The database was interrupted. Try again in a moment.", Cause: err, RetryAfter: 1}
	}
	return core.Wrap(err, core.Internal, "%s", core.SentenceOf(err))
}

func fromEcho(h *echo.HTTPError) *core.Error {
	switch h.Code {
	case http.StatusNotFound:
		return core.Wrap(h, core.NotFound, "There is nothing at this address.")
	case http.StatusMethodNotAllowed:
		return core.Wrap(h, core.Malformed, "This address does not take that method.")
	case http.StatusRequestEntityTooLarge:
		return core.Wrap(h, core.TooLarge, "That is larger than one request may be.")
	}
	if h.Code < 500 {
		return core.Wrap(h, core.Malformed, "The request could not be read.")
	}
	return core.Wrap(h, core.Internal, "%s", core.SentenceOf(h))
}

// answerError answers with a problem document, a fragment or a page, as was asked for.
func (s *Server) answerError(c echo.Context, err error) {
	if c.Response().Committed {
		return
	}
	e := ours(err)
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		e = core.Wrap(err, core.Malformed, "The connection was closed before the request was done.")
	}
	status := statusOf(e.Code)
	var h *echo.HTTPError
	if errors.As(err, &h) && h.Code == http.StatusMethodNotAllowed {
		status = h.Code
	}
	if e.RetryAfter > 0 {
		setRetryAfter(c, e.RetryAfter)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if e.Code == core.Unauthorized {
		if asked, err := s.askToSignIn(c); asked && err == nil {
			return
		}
	}
	var sendErr error
	switch {
	case byHTMX(c):
		sendErr = s.render(c, status, views.NoticeBox(views.Notice{Kind: "error", Text: e.Sentence}))
	case wantsPage(c):
		sendErr = s.render(c, status, views.ErrorPage(s.framePage(c, views.ErrorTitle(status)), errorView(c, status, e)))
	default:
		sendErr = problem(c, e)
	}
	if sendErr != nil && !c.Response().Committed {
		_ = c.String(status, e.Sentence)
	}
}

func setRetryAfter(c echo.Context, seconds int) {
	c.Response().Header().Set("Retry-After", strconv.Itoa(seconds))
}

func wantsPage(c echo.Context) bool {
	return !strings.HasPrefix(c.Request().URL.Path, "/api/") && strings.Contains(c.Request().Header.Get("Accept"), "text/html")
}

func errorView(c echo.Context, status int, e *core.Error) views.ErrorView {
	v := views.ErrorView{Status: status, Sentence: e.Sentence, Request: c.Response().Header().Get("X-Request-Id"), Retry: c.Request().Method == http.MethodGet}
	for _, f := range e.Fields {
		if f.Detail != e.Sentence {
			v.Details = append(v.Details, f.Detail)
		}
	}
	return v
}
