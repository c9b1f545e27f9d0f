package handlers

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// listOf is the answer of every list; next is null at the end.
type listOf[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// limitOf reads the limit of a list: 100 unless told, at most 1,000.
func limitOf(c echo.Context) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1000 {
		return 0, core.FieldErrorf("/limit", "limit takes a number from 1 to 1000.")
	}
	return n, nil
}

// pageOf cuts a page out of a list that is short enough to be at hand as a whole. Its order is that of the keys, so that what
// comes and goes between two pages moves nothing. Codes: Invalid.
func pageOf[T any](c echo.Context, all []T, key func(T) string) (page []T, next *string, err error) {
	limit, err := limitOf(c)
	if err != nil {
		return nil, nil, err
	}
	after, err := readMark(c.QueryParam("after"))
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	all = slices.DeleteFunc(all, func(item T) bool { return key(item) <= after })
	if len(all) <= limit {
		return all, nil, nil
	}
	return all[:limit], mark(key(all[limit-1])), nil
}

// answerPage answers a page of a list, each item as out gives it.
func answerPage[T, U any](c echo.Context, all []T, key func(T) string, out func(T) U) error {
	page, next, err := pageOf(c, all, key)
	if err != nil {
		return err
	}
	return answerList(c, page, next, out)
}

func answerList[T, U any](c echo.Context, page []T, next *string, out func(T) U) error {
	answer := listOf[U]{Items: make([]U, len(page)), Next: next}
	for i, item := range page {
		answer.Items[i] = out(item)
	}
	return c.JSON(http.StatusOK, answer)
}

// oldestFirst and newestFirst are keys by time.
func oldestFirst(at time.Time, id string) string {
	return fmt.Sprintf("%020d %s", at.UnixMicro(), id)
}

func newestFirst(at time.Time, id string) string {
	return fmt.Sprintf("%020d %s", math.MaxInt64-at.UnixMicro(), id)
}

// byName is a key by name, whatever its case.
func byName(name, id string) string { return strings.ToLower(name) + "\x00" + id }

// mark turns the key of a page's last item into what `after` takes.
func mark(key string) *string {
	s := base64.RawURLEncoding.EncodeToString([]byte(key))
	return &s
}

func readMark(after string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return "", badMark()
	}
	return string(raw), nil
}

// spanOf reads limit and `after` of a list that is paged by position.
func spanOf(c echo.Context) (store.Span, error) {
	limit, err := limitOf(c)
	if err != nil {
		return store.Span{}, err
	}
	at, err := readMark(c.QueryParam("after"))
	if err != nil || at == "" {
		return store.First(limit), err
	}
	n, err := strconv.Atoi(at)
	if err != nil || n < 0 {
		return store.Span{}, badMark()
	}
	return store.Span{Offset: n, Limit: limit}, nil
}

// answerSpan answers a part of a list; more says that others follow.
func answerSpan[T, U any](c echo.Context, found []T, more bool, part store.Span, out func(T) U) error {
	var next *string
	if more {
		next = mark(strconv.Itoa(part.Offset + len(found)))
	}
	return answerList(c, found, next, out)
}

func badMark() error {
	return core.FieldErrorf("/after", "after takes what an earlier page gave as next.")
}
