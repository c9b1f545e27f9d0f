package jobs

import (
	"maps"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// here marks a reference to a record that the service does not have yet: it is followed by the record's id here. So that the
// service's own ids that begin with it are not taken for such, they begin with two of it here.
const here = "~"

// fromService gives a value as it is kept here.
func fromService(c core.Column, v core.Value) core.Value {
	return v.EachReference(c.Type, func(id string) string {
		if strings.HasPrefix(id, here) {
			return here + id
		}
		return id
	})
}

// toService gives a value as the service has it.
func toService(c core.Column, v core.Value) core.Value {
	return v.EachReference(c.Type, func(id string) string {
		if strings.HasPrefix(id, here+here) {
			return id[len(here):]
		}
		return id
	})
}

// allFromService is fromService of values by field; nil stays nil.
func (b *batch) allFromService(values map[string]core.Value) map[string]core.Value {
	out := maps.Clone(values)
	for field, v := range out {
		if c, ok := b.cols[field]; ok {
			out[field] = fromService(c, v)
		}
	}
	return out
}

// outcomesHere gives answers with their values as they are kept here.
func (b *batch) outcomesHere(list []connectors.Outcome) []connectors.Outcome {
	for i := range list {
		list[i].Before, list[i].Stored = b.allFromService(list[i].Before), b.allFromService(list[i].Stored)
	}
	return list
}
