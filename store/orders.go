package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"scratchpaper/internal/core"
)

// Order is the ids of a view's records, as they were at a version of the table. It never changes: records deleted since
// leave gaps, records made since are not in it.
type Order struct {
	ID      string
	Table   string // table id
	Org     string
	View    View
	Version int64
	MadeAt  time.Time
	ids     []uint32
	at      []uint32 // positions, sorted by the ids there; made when first asked for, nil where the ids ascend
	once    sync.Once
}

// Len gives the number of records.
func (o *Order) Len() int { return len(o.ids) }

// IDs gives the ids at positions from to to (excluded), cut at both ends.
func (o *Order) IDs(from, to int) []int64 {
	from, to = max(0, min(from, len(o.ids))), max(0, min(to, len(o.ids)))
	out := make([]int64, 0, max(0, to-from))
	for i := from; i < to; i++ {
		out = append(out, int64(o.ids[i]))
	}
	return out
}

// Position gives where a record stands.
func (o *Order) Position(id int64) (int, bool) {
	if id < 0 || id > math.MaxUint32 {
		return 0, false
	}
	o.once.Do(o.index)
	if o.at == nil {
		return slices.BinarySearch(o.ids, uint32(id))
	}
	i, ok := slices.BinarySearchFunc(o.at, uint32(id), func(at, id uint32) int { return cmp.Compare(o.ids[at], id) })
	if !ok {
		return 0, false
	}
	return int(o.at[i]), true
}

func (o *Order) index() {
	if slices.IsSorted(o.ids) {
		return
	}
	o.at = make([]uint32, len(o.ids))
	for i := range o.at {
		o.at[i] = uint32(i)
	}
	slices.SortFunc(o.at, func(a, b uint32) int { return cmp.Compare(o.ids[a], o.ids[b]) })
}

// orderMemory bounds the cache of orders in this process; orderLife is how long Redis keeps one after its last use.
const (
	orderMemory = 64 << 20
	orderLife   = time.Hour
)

// orderCache keeps the orders used last, bounded by their size, and builds each definition once at a time.
type orderCache struct {
	mu     sync.Mutex
	byID   map[string]*Order
	latest map[string]string // definition → id
	recent []string          // ids, least recently used first
	bytes  int
	flight singleflight.Group
}

func newOrderCache() *orderCache {
	return &orderCache{byID: map[string]*Order{}, latest: map[string]string{}}
}

func (c *orderCache) get(id string) *Order {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.byID[id]
	if o != nil {
		c.touch(id)
	}
	return o
}

func (c *orderCache) latestOf(definition string) *Order {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[c.latest[definition]]
}

func (c *orderCache) touch(id string) {
	for i, r := range c.recent {
		if r == id {
			c.recent = append(append(c.recent[:i:i], c.recent[i+1:]...), id)
			return
		}
	}
	c.recent = append(c.recent, id)
}

func (c *orderCache) put(definition string, o *Order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[o.ID] == nil {
		c.bytes += 4 * len(o.ids)
	}
	c.byID[o.ID], c.latest[definition] = o, o.ID
	c.touch(o.ID)
	for c.bytes > orderMemory && len(c.recent) > 1 {
		old := c.recent[0]
		c.recent = c.recent[1:]
		c.bytes -= 4 * len(c.byID[old].ids)
		delete(c.byID, old)
	}
	for d, id := range c.latest {
		if c.byID[id] == nil {
			delete(c.latest, d)
		}
	}
}

// Order gives the order of a view: the latest one when it is at most maxAge old or nothing changed since, else a new one.
// Codes: NotFound, Invalid (the filter).
func (s *Store) Order(ctx context.Context, by core.Actor, ref TableRef, v View, maxAge time.Duration) (*Order, error) {
	t, err := s.TableByID(ctx, by, ref)
	if err != nil {
		return nil, err
	}
	def := definition(t, v)
	if o := s.orders.latestOf(def); o != nil && (o.Version == t.Version || time.Since(o.MadeAt) < maxAge) {
		return o, nil
	}
	made, err, _ := s.orders.flight.Do(def, func() (any, error) {
		build, cancel := s.patient(context.WithoutCancel(ctx)) // others wait for the same build
		defer cancel()
		return s.buildOrder(build, t, v, def)
	})
	if err != nil {
		return nil, mapError(err)
	}
	return made.(*Order), nil
}

func definition(t Table, v View) string {
	raw, _ := json.Marshal(v) // strings and numbers only
	return t.Org + "\x00" + t.ID + "\x00" + string(raw)
}

func (s *Store) buildOrder(ctx context.Context, t Table, v View, def string) (*Order, error) {
	var args []any
	where, order, err := viewSQL(t, v, &args)
	if err != nil {
		return nil, err
	}
	o := &Order{Table: t.ID, Org: t.Org, View: v, Version: t.Version, MadeAt: time.Now()}
	rows, err := s.pool.Query(ctx, "select r._id from "+dataTable(t)+" r where "+where+" order by "+order, append([]any{dynamic}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()[0]
		id := binary.BigEndian.Uint64(raw)
		if id > math.MaxUint32 {
			return nil, core.Errorf(core.Invalid, "This snapshot has had more than four thousand million records; take a new one.")
		}
		o.ids = append(o.ids, uint32(id))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", def, t.Version, o.MadeAt.UnixNano()))
	o.ID = "ord_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
	s.orders.put(def, o)
	s.shareOrder(ctx, o)
	return o, nil
}

// sharedOrder is an order as it stands in Redis, before its packed ids.
type sharedOrder struct {
	Table, Org string
	View       View
	Version    int64
	MadeAt     time.Time
}

func (s *Store) shareOrder(ctx context.Context, o *Order) {
	if s.rdb == nil {
		return
	}
	head, _ := json.Marshal(sharedOrder{o.Table, o.Org, o.View, o.Version, o.MadeAt})
	body := binary.BigEndian.AppendUint32(nil, uint32(len(head))) // #nosec G115 -- the head is a few hundred bytes
	body = append(body, head...)
	for _, id := range o.ids {
		body = binary.BigEndian.AppendUint32(body, id)
	}
	if err := s.rdb.Set(ctx, "order:"+o.ID, body, orderLife).Err(); err != nil {
		s.log.WarnContext(ctx, "order not shared", "error", err)
	}
}

// OrderByID gives an order that a page holds. Codes: NotFound (the table), Conflict (the order is gone: take a new one).
func (s *Store) OrderByID(ctx context.Context, by core.Actor, ref TableRef, id string) (*Order, error) {
	o := s.orders.get(id)
	if o == nil {
		o = s.sharedOrderByID(ctx, id)
	}
	if o == nil || o.Org != by.Org || o.Table != ref.Table {
		if _, err := s.TableByID(ctx, by, ref); err != nil {
			return nil, err
		}
		return nil, core.Errorf(core.Conflict, "This order of the records is gone. A new one is being made; nothing was changed.")
	}
	return o, nil
}

func (s *Store) sharedOrderByID(ctx context.Context, id string) *Order {
	if s.rdb == nil {
		return nil
	}
	body, err := s.rdb.GetEx(ctx, "order:"+id, orderLife).Bytes()
	if err != nil || len(body) < 4 {
		return nil
	}
	n := int(binary.BigEndian.Uint32(body))
	var head sharedOrder
	if len(body) < 4+n || json.Unmarshal(body[4:4+n], &head) != nil {
		return nil
	}
	o := &Order{ID: id, Table: head.Table, Org: head.Org, View: head.View, Version: head.Version, MadeAt: head.MadeAt}
	for b := body[4+n:]; len(b) >= 4; b = b[4:] {
		o.ids = append(o.ids, binary.BigEndian.Uint32(b))
	}
	s.orders.put(o.Org+"\x00"+o.Table+"\x00shared\x00"+id, o)
	return o
}

// viewSQL gives the conditions and the order of a view over alias r. Nulls come last either way, as people expect of blanks.
func viewSQL(t Table, v View, args *[]any) (where, order string, err error) {
	where, err = filterSQL(t, v.Filter, v.Find, args)
	if err != nil {
		return "", "", err
	}
	var keys []string
	for _, k := range v.Sort {
		c, ok := t.Column(k.Column)
		if !ok || c.Type == core.JSON {
			continue
		}
		key := "r." + ident(c.Physical)
		if c.Type.IsText() {
			key += " collate natural_sort"
		}
		if k.Descending {
			key += " desc"
		}
		keys = append(keys, key+" nulls last")
	}
	return where, strings.Join(append(keys, "r._id"), ", "), nil
}
