package events

import (
	"encoding/json"
	"slices"

	"scratchpaper/internal/core"
)

const (
	kindResync   = "resync"
	kindPresence = "presence"

	// maxRows is how many record ids a hint names before it says "many".
	maxRows = 500
	// maxData bounds what a hint carries beside ids, in bytes. A hint is passed to every browser that listens.
	maxData = 16 << 10
)

// source is what hints must share to become one. Actor and Client are part of it,
// so that a tab that ignores its own hints never ignores somebody else's with them.
type source struct {
	org, snapshot, table, job, person, kind, actor, client string
}

func sourceOf(h core.Hint) source {
	return source{h.Org, h.Snapshot, h.Table, h.Job, h.Person, h.Kind, h.Actor, h.Client}
}

// pile gathers hints, one for each source, in the order in which sources first appeared.
type pile struct {
	order []source
	hints map[source]core.Hint
}

// add merges h into the pile. It reports false when h is of a new source and the pile already holds limit of them.
func (p *pile) add(h core.Hint, limit int) bool {
	key := sourceOf(h)
	old, known := p.hints[key]
	if !known && len(p.order) >= limit {
		return false
	}
	if known {
		h = merge(old, h)
	} else {
		p.order = append(p.order, key)
	}
	if p.hints == nil {
		p.hints = map[source]core.Hint{}
	}
	p.hints[key] = shorten(h)
	return true
}

// take empties the pile.
func (p *pile) take() []core.Hint {
	out := make([]core.Hint, 0, len(p.order))
	for _, key := range p.order {
		out = append(out, p.hints[key])
	}
	p.order, p.hints = nil, nil
	return out
}

func (p *pile) empty() bool { return len(p.order) == 0 }

// merge says in one hint what two of the same source say: all rows, the newest version, the latest data.
func merge(older, newer core.Hint) core.Hint {
	newer.Version = max(older.Version, newer.Version)
	newer.Many = older.Many || newer.Many
	newer.Rows = slices.Concat(older.Rows, newer.Rows)
	if newer.Data == nil {
		newer.Data = older.Data
	}
	return newer
}

// shorten sorts the rows, each once, and says "many" for more than are worth naming. It never writes to the caller's slice.
func shorten(h core.Hint) core.Hint {
	rows := slices.Clone(h.Rows)
	slices.Sort(rows)
	h.Rows = slices.Compact(rows)
	if h.Many || len(h.Rows) > maxRows {
		h.Many, h.Rows = true, nil
	}
	return h
}

// dataFits says whether a hint's data can be sent: JSON, and not large.
func dataFits(data json.RawMessage) bool {
	return data == nil || len(data) <= maxData && json.Valid(data)
}
