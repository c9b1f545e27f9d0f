package csvfile

import (
	"strconv"
	"strings"
	"time"

	"scratchpaper/internal/core"
)

// longestDate is longer than any date and time that is read, in bytes.
const longestDate = 64

func parseDate(s string, o ValueOptions) (string, bool) {
	if core.IsPlainDay(s) {
		return s, true
	}
	d, ok := readDate(s, o)
	if !ok {
		return "", false
	}
	return d.Format("2006-01-02"), true
}

// readDate reads a date with a year of four digits; two digits are refused, since nobody can
// tell the century.
func readDate(s string, o ValueOptions) (time.Time, bool) {
	if len(s) > longestDate {
		return time.Time{}, false
	}
	if strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return namedDate(s)
	}
	for _, sep := range []string{"-", "/", "."} {
		if parts := strings.Split(s, sep); len(parts) == 3 {
			return numericDate(parts, sep, o)
		}
	}
	return time.Time{}, false
}

func namedDate(s string) (time.Time, bool) {
	s = strings.ReplaceAll(s, ".", "")
	for _, layout := range []string{
		"2 Jan 2006", "2 January 2006", "2-Jan-2006", "2-January-2006",
		"Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006",
	} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return t, true
		}
	}
	return time.Time{}, false
}

func numericDate(parts []string, sep string, o ValueOptions) (time.Time, bool) {
	for _, p := range parts {
		if !allDigits(p) || (len(p) > 2 && len(p) != 4) {
			return time.Time{}, false
		}
	}
	switch {
	case len(parts[0]) == 4 && len(parts[1]) <= 2 && len(parts[2]) <= 2:
		return calendarDay(parts[0], parts[1], parts[2])
	case len(parts[2]) != 4 || len(parts[0]) > 2 || len(parts[1]) > 2:
		return time.Time{}, false
	case sep == "." || o.Order == DayFirst:
		return calendarDay(parts[2], parts[1], parts[0])
	case o.Order == MonthFirst:
		return calendarDay(parts[2], parts[0], parts[1])
	}
	return eitherOrder(parts)
}

// eitherOrder reads a date that has one meaning whatever the order.
func eitherOrder(parts []string) (time.Time, bool) {
	a, day := calendarDay(parts[2], parts[1], parts[0])
	b, month := calendarDay(parts[2], parts[0], parts[1])
	switch {
	case day && month:
		return a, a.Equal(b)
	case day:
		return a, true
	}
	return b, month
}

func calendarDay(year, month, day string) (time.Time, bool) {
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return t, y > 0 && t.Month() == time.Month(m) && t.Day() == d
}

// parseDateTime reads a date, T or a space, and a time, with or without a zone. An hour that a
// zone skips is read as the same instant an hour later, one that it repeats as the first.
func parseDateTime(s string, o ValueOptions) (string, bool) {
	date, clock, ok := cutClock(s)
	if !ok || len(s) > longestDate {
		return "", false
	}
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	if at, ok := cutUTC(clock, zone == time.UTC); ok && core.IsPlainDay(date) && core.IsPlainClock(at) {
		return date + "T" + at + "+00:00", true
	}
	d, ok := readDate(date, o)
	if !ok {
		return "", false
	}
	t, zoned, ok := readClock(clock)
	if !ok {
		return "", false
	}
	if zoned {
		zone = t.Location()
	}
	at := time.Date(d.Year(), d.Month(), d.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	v, err := core.CheckValue(core.Column{Type: core.DateTime}, core.TextValue(at.UTC().Format(time.RFC3339Nano)))
	return v.Text, err == nil
}

// cutUTC takes the zone off a time of day that is in UTC: it says so as spreadsheets and databases do, or names none where UTC is meant.
func cutUTC(clock string, unnamed bool) (at string, ok bool) {
	for _, zone := range []string{"Z", "+00:00", "+00"} {
		if at, ok := strings.CutSuffix(clock, zone); ok {
			return at, true
		}
	}
	return clock, unnamed
}

// cutClock finds where the time begins: after a T between digits, or after the last space before
// the first colon.
func cutClock(s string) (date, clock string, ok bool) {
	colon := strings.IndexByte(s, ':')
	if colon < 0 {
		return "", "", false
	}
	i := strings.LastIndexAny(s[:colon], " Tt")
	if i < 0 {
		return "", "", false
	}
	return strings.TrimRight(s[:i], " ,"), s[i+1:], true
}

// readClock reads a time of day and tells whether it names its distance from UTC.
func readClock(s string) (t time.Time, zoned, ok bool) {
	s = strings.ToUpper(s)
	if rest, utc := strings.CutSuffix(s, " UTC"); utc {
		s = rest + "Z"
	}
	for _, layout := range []string{"15:04:05Z07:00", "15:04:05 Z07:00", "15:04:05Z0700", "15:04:05 Z0700", "15:04:05Z07", "15:04Z07:00", "15:04 Z07:00", "15:04Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true, true
		}
	}
	for _, layout := range []string{"15:04:05", "15:04", "3:04 PM", "3:04PM", "3:04:05 PM", "3:04:05PM"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, false, true
		}
	}
	return time.Time{}, false, false
}
