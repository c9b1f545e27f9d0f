package store

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"scratchpaper/internal/core"
)

// columnCache keeps the columns of the tables that were looked up last, each with the mark of the rows that they were read from.
// Every look-up reads the mark anew, so what is given is always what is there now; only the reading of unchanged columns is saved.
type columnCache struct {
	mu      sync.Mutex
	byTable map[string]markedColumns
}

type markedColumns struct {
	mark    string
	columns []core.Column
}

// mostCachedTables bounds the cache; when it is full it begins anew.
const mostCachedTables = 2000

// columnMark is SQL that differs whenever row c of columns was written: where the row is and by which transaction.
const columnMark = "c.ctid::text || c.xmin::text"

// columnsMark is columnMark of all columns of a table of tables, in the order of their numbers.
const columnsMark = `coalesce((select string_agg(` + columnMark + `, ' ' order by c.number) from columns c where c.org_id = tables.org_id and c.table_id = tables.id), '')`

func (c *columnCache) get(table, mark string) ([]core.Column, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.byTable[table]
	return m.columns, ok && m.mark == mark
}

func (c *columnCache) put(table string, columns []core.Column, marks []string) {
	at := make([]int, len(columns))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(columns[a].Number, columns[b].Number) })
	byNumber := make([]string, len(at))
	for i, k := range at {
		byNumber[i] = marks[k]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTable == nil || len(c.byTable) >= mostCachedTables {
		c.byTable = map[string]markedColumns{}
	}
	c.byTable[table] = markedColumns{strings.Join(byNumber, " "), columns}
}
