package handlers

import (
	"time"

	"scratchpaper/connectors"
	"scratchpaper/store"
	"scratchpaper/views"
)

// forecast says how many requests a publish takes and how long that lasts: at the service's declared limit, or as fast as the last
// publish over this connection went (records a second, 0 is none yet), whichever is longer.
func forecast(in connectors.Info, n store.PlanCounts, measured float64) string {
	requests, records := requestsFor(in, n), n.Creates+n.Updates+n.Deletes
	words := "About " + views.Counted(requests, "request", "requests")
	byLimit, byRate := seconds(float64(requests), in.Limits.RequestsPerSecond), seconds(float64(records), measured)
	switch {
	case records == 0:
	case byLimit > 0 && byLimit >= byRate:
		words += ", " + views.Span(byLimit) + " at this service's limit of " + views.Rate(in.Limits.RequestsPerSecond) + " a second"
	case byRate > 0 && views.Rate(measured) != "":
		words += ", " + views.Span(byRate) + " as fast as the last publish went: " + views.Rate(measured) + " records a second"
	}
	words += "."
	if daily := int64(in.Limits.RequestsPerDay); daily > 0 && requests > daily {
		words += " The service takes " + views.Number(daily) + " requests a day: it goes on by itself over " + views.Counted(batches(requests, int(daily)), "day", "days") + "."
	}
	return words
}

// requestsFor counts what writes take, in one step or two, and the looks just before updates and deletes.
func requestsFor(in connectors.Info, n store.PlanCounts) int64 {
	l := in.Limits
	creates := batches(n.Creates, l.CreateBatch)
	if _, ok := in.Session.(connectors.Finisher); ok { // each is made, and then finished, which looks for it once more
		creates *= 3
	}
	updates := batches(n.Updates, l.UpdateBatch)
	if l.UpdateParts > 1 {
		updates += n.Updates / int64(max(1, l.UpdateBatch)) * int64(l.UpdateParts-1)
	}
	requests := creates + updates + batches(n.Deletes, l.DeleteBatch)
	if l.RequestsPerRecord > 0 {
		requests = int64(float64(n.Creates+n.Updates+n.Deletes)*l.RequestsPerRecord + 0.5)
	}
	if _, ok := in.Session.(connectors.BatchReader); ok {
		requests += batches(n.Updates, looked(l.LookupBatch, l.UpdateBatch)) + batches(n.Deletes, looked(l.LookupBatch, l.DeleteBatch))
	}
	return requests
}

// looked is how many records one look takes: no more than are written next.
func looked(lookup, write int) int {
	if lookup <= 0 {
		return write
	}
	return min(lookup, max(1, write))
}

// seconds is how long so much takes at a rate a second; without one it is not known, 0.
func seconds(much, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(much / rate * float64(time.Second))
}

func batches(n int64, size int) int64 {
	if size <= 0 {
		size = 1
	}
	return (n + int64(size) - 1) / int64(size)
}
