package handlers

import (
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/store"
)

// looker is a session that reads chosen records.
type looker struct {
	connectors.Session
	connectors.BatchReader
}

// twoStepper is a session that creates in two steps.
type twoStepper struct {
	connectors.Session
	connectors.Finisher
}

func TestAForecastCountsRequestsAndTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		limits   connectors.Limits
		looks    bool
		counts   store.PlanCounts
		measured float64
		want     string
	}{
		{"batches", connectors.Limits{CreateBatch: 10, UpdateBatch: 10, DeleteBatch: 1}, false, store.PlanCounts{Creates: 3, Updates: 405, Deletes: 2}, 0, "About 44 requests."},
		{"at a declared limit", connectors.Limits{CreateBatch: 10, UpdateBatch: 10, DeleteBatch: 10, RequestsPerSecond: 5}, false, store.PlanCounts{Updates: 405}, 0,
			"About 41 requests, 8 s at this service's limit of 5.0 a second."},
		{"full batches in two parts", connectors.Limits{UpdateBatch: 10, UpdateParts: 2}, false, store.PlanCounts{Updates: 43}, 0, "About 9 requests."},
		{"with looks before", connectors.Limits{UpdateBatch: 10, LookupBatch: 100}, true, store.PlanCounts{Updates: 100}, 0, "About 20 requests."},
		{"a request a record", connectors.Limits{UpdateBatch: 10, LookupBatch: 100, RequestsPerRecord: 1}, true, store.PlanCounts{Updates: 100}, 0, "About 110 requests."},
		{"as measured", connectors.Limits{UpdateBatch: 1}, false, store.PlanCounts{Updates: 1200}, 4.81,
			"About 1,200 requests, 4 min as fast as the last publish went: 4.8 records a second."},
		{"measured slower than declared", connectors.Limits{UpdateBatch: 1, RequestsPerSecond: 50}, false, store.PlanCounts{Updates: 1200}, 10,
			"About 1,200 requests, 2 min as fast as the last publish went: 10 records a second."},
		{"more than a day", connectors.Limits{UpdateBatch: 1, RequestsPerDay: 1000}, false, store.PlanCounts{Updates: 2500}, 0,
			"About 2,500 requests. The service takes 1,000 requests a day: it goes on by itself over 3 days."},
		{"creates in two steps", connectors.Limits{CreateBatch: 25, UpdateBatch: 25}, false, store.PlanCounts{Creates: 26, Updates: 25}, 0, "About 7 requests."},
		{"nothing", connectors.Limits{RequestsPerSecond: 5}, false, store.PlanCounts{}, 5, "About 0 requests."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := connectors.Info{Limits: tt.limits}
			if tt.looks {
				in.Session = looker{}
			}
			if tt.name == "creates in two steps" {
				in.Session = twoStepper{}
			}
			if got := forecast(in, tt.counts, tt.measured); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
