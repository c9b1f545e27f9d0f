package events

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
)

// presenceLife is how long somebody counts as present after the last sign of them.
const presenceLife = 30 * time.Second

// colours is how many colours tell people apart in the grid.
const colours = 8

// Presence keeps who is in which snapshot, in Redis, one entry for each tab.
// A tab says Here whenever its cell changes and every 10 s or so; 30 s after the last time it is gone.
type Presence struct {
	rdb redis.UniversalClient
	hub *Hub
}

// Place is where somebody is. Row and Column are 0 and "" while no cell is selected.
type Place struct {
	Person string `json:"person"`
	Name   string `json:"name"`
	Colour int    `json:"colour"` // 0 to 7, the same for a person everywhere
	Client string `json:"client"` // the tab
	Table  string `json:"table,omitempty"`
	Row    int64  `json:"row,omitempty"`
	Column string `json:"column,omitempty"`
	Left   bool   `json:"left,omitempty"` // in a hint only: this tab is gone
}

// entry is a place as it lies in Redis. The time is Redis's own, since processes may run on machines that disagree.
type entry struct {
	Place
	Seen int64 `json:"seen"` // ms since 1970
}

// Colour gives a person the same colour everywhere, 0 to 7.
func Colour(person string) int {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(person))
	return int(sum.Sum32() % colours)
}

// Here says that a tab is in a snapshot, and tells the others. Its colour is set here. Codes: Unavailable.
func (p *Presence) Here(ctx context.Context, org, snapshot string, at Place) error {
	at.Colour, at.Left = Colour(at.Person), false
	now, err := p.rdb.Time(ctx).Result()
	if err != nil {
		return unavailable(err)
	}
	value, err := json.Marshal(entry{Place: at, Seen: now.UnixMilli()})
	if err != nil {
		return core.Wrap(err, core.Internal, "Your place could not be kept.")
	}
	key := presenceKey(org, snapshot)
	_, err = p.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HSet(ctx, key, at.Client, value)
		tx.PExpire(ctx, key, presenceLife)
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	p.tell(ctx, org, snapshot, at)
	return nil
}

// Leave says that a person's tab has left a snapshot. Codes: Unavailable.
func (p *Presence) Leave(ctx context.Context, org, snapshot, person, client string) error {
	here, err := p.Who(ctx, org, snapshot)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(here, func(place Place) bool { return place.Client == client && place.Person == person })
	if at < 0 {
		return nil
	}
	if err := p.rdb.HDel(ctx, presenceKey(org, snapshot), client).Err(); err != nil {
		return unavailable(err)
	}
	p.tell(ctx, org, snapshot, Place{Person: person, Client: client, Colour: Colour(person), Left: true})
	return nil
}

// Who lists who is in a snapshot, by name, then person and tab. Codes: Unavailable.
func (p *Presence) Who(ctx context.Context, org, snapshot string) ([]Place, error) {
	var now *redis.TimeCmd
	var all *redis.MapStringStringCmd
	key := presenceKey(org, snapshot)
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		now, all = pipe.Time(ctx), pipe.HGetAll(ctx, key)
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	here, gone := split(all.Val(), now.Val().Add(-presenceLife))
	if len(gone) > 0 {
		_ = p.rdb.HDel(ctx, key, gone...).Err() // only tidiness: they are left out either way
	}
	return here, nil
}

// split parts the entries seen since then from the tabs that were not.
func split(entries map[string]string, since time.Time) (here []Place, gone []string) {
	for client, value := range entries {
		var e entry
		if json.Unmarshal([]byte(value), &e) != nil || e.Seen < since.UnixMilli() {
			gone = append(gone, client)
			continue
		}
		here = append(here, e.Place)
	}
	slices.SortFunc(here, func(a, b Place) int {
		return strings.Compare(a.Name+"\x00"+a.Person+"\x00"+a.Client, b.Name+"\x00"+b.Person+"\x00"+b.Client)
	})
	return here, gone
}

func (p *Presence) tell(ctx context.Context, org, snapshot string, at Place) {
	data, err := json.Marshal(at)
	if err != nil {
		return
	}
	p.hub.Notify(ctx, core.Hint{
		Org: org, Snapshot: snapshot, Table: at.Table, Kind: kindPresence,
		Actor: at.Person, Client: at.Client, Data: data,
	})
}

// presenceKey holds the organization too, so that a snapshot's id alone never opens another's list.
func presenceKey(org, snapshot string) string { return "scratchpaper:presence:" + org + ":" + snapshot }

func unavailable(err error) error {
	return core.Wrap(err, core.Unavailable, "Who else is here cannot be told at the moment.")
}
