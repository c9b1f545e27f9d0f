package handlers

import (
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
)

// form reads a posted form whole, before anything of it is used: a form that was cut off does nothing. A field is given once, but
// for those named in lists; a name that ends in - stands for all that begin so. Codes: Malformed, Invalid (a field), TooLarge.
func form(c echo.Context, lists ...string) error {
	r := c.Request()
	typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.ContentLength != 0 && (err != nil || typ != echo.MIMEApplicationForm && typ != echo.MIMEMultipartForm) {
		return core.Errorf(core.Malformed, "This address takes a form: send its fields as %s.", echo.MIMEApplicationForm)
	}
	if _, err := c.FormParams(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return core.Wrap(err, core.Malformed, "The form could not be read to its end. Nothing was changed; send it again.")
	}
	if err := checkFields(r.Form); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		if len(r.PostForm[name]) > 1 && !slices.ContainsFunc(lists, func(l string) bool { return l == name || strings.HasSuffix(l, "-") && strings.HasPrefix(name, l) }) {
			return core.FieldErrorf(pointerOf(name), "%s is given more than once; give it once.", cutName(name))
		}
	}
	return nil
}

// checkFields refuses, by name, what no field or parameter can hold: NUL, and bytes that are no UTF-8.
func checkFields(all url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, v := range append([]string{name}, all[name]...) {
			switch {
			case strings.ContainsRune(v, 0):
				return core.FieldErrorf(pointerOf(name), "%s holds the NUL character, which cannot be stored. Take it out.", cutName(name))
			case !utf8.ValidString(v):
				return core.FieldErrorf(pointerOf(name), "%s is not valid UTF-8.", cutName(name))
			}
		}
	}
	return nil
}

func pointerOf(name string) string {
	return "/" + escapePointer(strings.ToValidUTF8(name, "\uFFFD"))
}

// formNumber reads a field that takes a number from 1; 0 is none.
func formNumber(c echo.Context, name string) (int64, error) {
	v := c.FormValue(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		return 0, core.FieldErrorf("/"+name, "%s takes a number from 1.", name)
	}
	return n, nil
}

// formBool reads a field that takes true or false; left out is false.
func formBool(c echo.Context, name string) (bool, error) {
	return boolField(url.Values{name: {c.FormValue(name)}}, name)
}
