package events

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scratchpaper/internal/redistest"
)

func who(t *testing.T, p *process, org, snapshot string) []Place {
	t.Helper()
	here, err := p.Presence.Who(background, org, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return here
}

func be(t *testing.T, p *process, org, snapshot string, at Place) {
	t.Helper()
	if err := p.Presence.Here(background, org, snapshot, at); err != nil {
		t.Fatal(err)
	}
}

func TestWhoIsHereIsKnownToItsOrganizationOnly(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	ada := Place{Person: "p1", Name: "Ada", Client: "tab1", Table: "t", Row: 4, Column: "title"}
	be(t, p, "org_a", "s1", Place{Person: "p2", Name: "Bo", Client: "tab2"})
	be(t, p, "org_a", "s1", ada)
	be(t, p, "org_b", "s1", Place{Person: "p3", Name: "Eve", Client: "tab3"})
	ada.Colour = Colour("p1")
	want := []Place{ada, {Person: "p2", Name: "Bo", Client: "tab2", Colour: Colour("p2")}}
	if diff := cmp.Diff(want, who(t, p, "org_a", "s1")); diff != "" {
		t.Error(diff)
	}
	if other := who(t, p, "org_a", "s2"); len(other) != 0 {
		t.Errorf("somebody is in s2: %v", other)
	}
}

func TestArrivingAndLeavingAreHints(t *testing.T) {
	t.Parallel()
	p := startProcess(t, redistest.InProcess(t))
	b := p.listen(t, "o", "snapshot:s1")
	be(t, p, "o", "s1", Place{Person: "p1", Name: "Ada", Client: "tab1", Table: "t", Row: 4, Column: "title"})
	got := b.nextHint(t)
	if place := decode[Place](t, string(got.Data)); got.Kind != "presence" || got.Actor != "p1" || place.Row != 4 || place.Left {
		t.Errorf("got %+v", got)
	}
	if err := p.Presence.Leave(background, "o", "s1", "somebody else", "tab1"); err != nil {
		t.Fatal(err)
	}
	if len(who(t, p, "o", "s1")) != 1 {
		t.Error("one person made another leave")
	}
	if err := p.Presence.Leave(background, "o", "s1", "p1", "tab1"); err != nil {
		t.Fatal(err)
	}
	if place := decode[Place](t, string(b.nextHint(t).Data)); !place.Left {
		t.Errorf("got %+v", place)
	}
	if len(who(t, p, "o", "s1")) != 0 {
		t.Error("who left is still here")
	}
}

func TestWhoIsSilentForHalfAMinuteIsGone(t *testing.T) {
	t.Parallel()
	mr := redistest.InProcess(t)
	p := startProcess(t, mr)
	start := time.Now()
	mr.SetTime(start)
	be(t, p, "o", "s1", Place{Person: "p1", Name: "Ada", Client: "tab1"})
	mr.SetTime(start.Add(20 * time.Second))
	be(t, p, "o", "s1", Place{Person: "p2", Name: "Bo", Client: "tab2"})
	mr.SetTime(start.Add(31 * time.Second))
	if here := who(t, p, "o", "s1"); len(here) != 1 || here[0].Name != "Bo" {
		t.Errorf("here are %v", here)
	}
	if ttl := mr.TTL(presenceKey("o", "s1")); ttl <= 0 || ttl > presenceLife {
		t.Errorf("the key lives %v", ttl)
	}
	var kept entry
	if err := json.Unmarshal([]byte(mr.HGet(presenceKey("o", "s1"), "tab2")), &kept); err != nil || kept.Name != "Bo" {
		t.Errorf("%+v, %v", kept, err)
	}
	if gone := mr.HGet(presenceKey("o", "s1"), "tab1"); gone != "" {
		t.Errorf("left behind: %s", gone)
	}
}
