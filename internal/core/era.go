package core

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// eraPattern is how Postgres writes days and times, those outside the years 1 to 9999 among them; such values come from services.
var eraPattern = regexp.MustCompile(`^([0-9]{4,7})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)([+-][0-9]{2}(?::?[0-9]{2})?|Z)?)?( BC)?$`)

// The last years that Postgres' types hold; the first day is 4714-11-24 BC for all of them.
const (
	lastDateYear = 5_874_897
	lastTimeYear = 294_276
)

var firstDay = time.Date(1-4714, 11, 24, 0, 0, 0, 0, time.UTC)

// readEra reads a day, with a time and a zone when there is one, as Postgres writes it. clock says whether it has a time.
func readEra(s string) (t time.Time, clock, ok bool) {
	m := eraPattern.FindStringSubmatch(s)
	if m == nil {
		return t, false, false
	}
	year, _ := strconv.Atoi(m[1]) // seven digits at most, as the others
	month, _ := strconv.Atoi(m[2])
	day, _ := strconv.Atoi(m[3])
	if year == 0 {
		return t, false, false // there was none
	}
	if m[6] != "" {
		year = 1 - year
	}
	t = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(month) || t.Day() != day {
		return t, false, false
	}
	if m[4] == "" {
		return t, false, true
	}
	at, err := time.Parse("15:04:05.999999999", m[4])
	if err != nil {
		if at, err = time.Parse("15:04", m[4]); err != nil {
			return t, true, false
		}
	}
	offset, ok := ReadOffset(m[5])
	return t.Add(at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)) - offset), true, ok
}

// ReadOffset reads a zone as Z, +02, +0200 or +02:00; "" is UTC. ok is false from 16 hours on, which Postgres does not take.
func ReadOffset(s string) (offset time.Duration, ok bool) {
	if s == "" || s == "Z" {
		return 0, true
	}
	digits := strings.ReplaceAll(s[1:], ":", "") + "00"
	hours, _ := strconv.Atoi(digits[:2])
	minutes, _ := strconv.Atoi(digits[2:4])
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, hours < 16 && minutes < 60
}

// held says whether Postgres' type with a last year holds a time. The first and last day of times are left out, since a zone may
// lead beyond them.
func held(t time.Time, lastYear int) bool {
	if lastYear == lastTimeYear {
		return t.After(firstDay.AddDate(0, 0, 1)) && t.Year() <= lastYear && t.Before(time.Date(lastYear, 12, 31, 0, 0, 0, 0, time.UTC))
	}
	return !t.Before(firstDay) && t.Year() <= lastYear
}

// canonicalDay writes a day as Postgres does.
func canonicalDay(t time.Time) string {
	year, era := t.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, t.Month(), t.Day()) + era
}

// canonicalTime writes a time as to_jsonb does: microseconds without trailing zeros, the zone "+00:00" or "", and the era.
func canonicalTime(t time.Time, zone string) string {
	day, era, _ := strings.Cut(canonicalDay(t), " ")
	if era != "" {
		era = " " + era
	}
	return day + t.Truncate(time.Microsecond).Format("T15:04:05.999999") + zone + era
}
