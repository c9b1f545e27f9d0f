package grid

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// kinds are more choices than a refusal names.
var kinds = []string{"historical capital", "capital", "town", "village", "hamlet", "farm", "port", "ruin"}

// mustPlaces is a running app with a table of places, whose countries are a table of their own.
func mustPlaces(t *testing.T, places int) shop {
	t.Helper()
	s := mustShop(t, 1)
	con, err := s.CreateConnection(t.Context(), s.by, store.NewConnection{Connector: "postgres", Name: "World", Settings: map[string]string{"host": "x"}})
	must(t, err)
	column := func(title string, typ core.ColumnType, o core.ColumnOptions) store.NewColumn {
		return store.NewColumn{RemoteID: title, Title: title, Type: typ, Options: o, Writable: !o.Key}
	}
	table := func(title string, columns ...store.NewColumn) store.NewTable {
		return store.NewTable{Connection: con.ID, RemoteID: title, Title: title, Source: core.Remote, Writable: true, Creatable: true, Deletable: true, Columns: columns}
	}
	key, none := core.ColumnOptions{Key: true}, core.ColumnOptions{}
	sn, job, err := s.CreateSnapshot(t.Context(), s.by, store.NewSnapshot{Name: "World", Tables: []store.NewTable{
		table("places", column("id", core.Number, key), column("name", core.Text, none), column("country", core.Reference, core.ColumnOptions{Target: "countries"}),
			column("kind", core.Choice, core.ColumnOptions{Choices: kinds}), column("people", core.Number, none), column("also", core.Choices, none), column("code", core.Text, none)),
		table("countries", column("id", core.Text, key), column("name", core.Text, none)),
	}})
	must(t, err)
	taken, _, err := s.TakeJob(t.Context(), job.ID, "worker", time.Hour)
	must(t, err)
	text := core.TextValue
	countries := []store.RemoteRecord{}
	for _, c := range [][2]string{{"FR", "France"}, {"GF", "French Guiana"}, {"IR", "Iran"}, {"SE", "Sweden"}, {"CH", "Switzerland"}} {
		countries = append(countries, store.RemoteRecord{ID: c[0], Values: []core.Value{text(c[0]), text(c[1])}})
	}
	var records []store.RemoteRecord
	for i := range places {
		records = append(records, store.RemoteRecord{ID: fmt.Sprint(i), Values: []core.Value{text(fmt.Sprint(32000 + i)), text(fmt.Sprintf("Place %d", i)), text("IR"),
			text("town"), text(fmt.Sprint(514102 + i)), core.NullValue, core.NullValue}})
	}
	for i, page := range [][]store.RemoteRecord{records, countries} {
		_, err = s.MergePage(t.Context(), taken, store.PageMerge{Table: sn.Tables[i], Columns: sn.Tables[i].Columns, Records: page, First: true, Checkpoint: map[string]int{"page": i}})
		must(t, err)
	}
	must(t, s.EndSlice(t.Context(), taken, store.JobEnd{State: "done"}))
	s.table, err = s.TableByID(t.Context(), s.by, sn.Tables[0].Ref())
	must(t, err)
	return s
}

// at makes a cell the active one.
func (p page) at(position, column int) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(cell(position, column))))
	p.until("the cell is active", fmt.Sprintf(`document.querySelector('#grid-active')?.matches('%s')`, cell(position, column)))
}

func TestAReferenceTakesTheMarkedHitByTabAndEnterAndBeforeItIsShown(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p, ids, country := mustPage(t, s.address()), s.ids(t), s.col("country")
	p.at(0, country)
	p.keys("swe")
	p.until("Sweden is marked", `/Sweden/.test(document.querySelector('.editor-list .is-here')?.textContent)`)
	p.keys(kb.Tab)
	p.until("the next cell is active", fmt.Sprintf(`!document.querySelector('.editor') && document.querySelector('#grid-active')?.matches('%s')`, cell(0, s.col("kind"))))
	p.at(1, country)
	p.keys("swi")
	p.until("Switzerland is marked", `/Switzerland/.test(document.querySelector('.editor-list .is-here')?.textContent)`)
	p.keys(kb.Enter)
	p.until("the cell below is active", fmt.Sprintf(`!document.querySelector('.editor') && document.querySelector('#grid-active')?.matches('%s')`, cell(2, country)))
	p.keys("fr" + kb.Enter + "gf" + kb.Enter) // faster than any list
	p.until("all are shown by their names", fmt.Sprintf(`[0, 1, 2, 3].map((i) => document.querySelector('[data-pos="' + i + '"] [data-c="%d"]:not(.is-pending)')?.firstChild.textContent).join() === 'Sweden,Switzerland,France,French Guiana'`, country))
	for i, want := range []string{"SE", "CH", "FR", "GF"} {
		if got := s.value(t, ids[i], "country"); got != want {
			t.Errorf("place %d is in %s, not in %s", i, got, want)
		}
	}
}

func TestAChoiceTakesTheFirstThatIsCalledSo(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p, ids, kind := mustPage(t, s.address()), s.ids(t), s.col("kind")
	p.at(0, kind)
	p.keys("cap" + kb.Enter + "har" + kb.Escape + "ham")
	p.until("the editor shows what is marked", `document.querySelector('.editor-list .is-here')?.textContent === 'hamlet'`)
	p.at(3, kind) // a click elsewhere takes it too
	p.until("both are drawn", fmt.Sprintf(`[0, 1].map((i) => document.querySelector('[data-pos="' + i + '"] [data-c="%d"] .pill')?.textContent).join() === 'capital,hamlet'`, kind))
	p.keys("nothing" + kb.Enter)
	p.until("a refusal is short", `document.querySelector('.editor-reason')?.textContent === 'kind takes historical capital, capital, town, village, hamlet, farm and 2 others; “nothing” is none of them.'`)
	if got := s.value(t, ids[0], "kind") + " " + s.value(t, ids[1], "kind"); got != "capital hamlet" {
		t.Errorf("the database holds %s", got)
	}
}

func TestAWriteThatChangesNothingIsNotShownAsPending(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p, kind := mustPage(t, s.address()), s.col("kind")
	p.at(0, kind)
	p.paste("town", "")
	p.until("the cell is as it was", fmt.Sprintf(`(() => { const c = document.querySelector('%s'); return !c.matches('.is-pending') && c.querySelector('.pill')?.textContent === 'town' && !c.matches('.is-edited'); })()`, cell(0, kind)))
	p.keys("town" + kb.Enter)
	p.until("and after typing", fmt.Sprintf(`document.querySelector('%s .pill') && !document.querySelector('.is-pending')`, cell(0, kind)))
}

func TestAViewWithoutRecordsSaysSoAndOffersAll(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p := mustPage(t, s.address()+`?filter=name+%3D%3D+%22nowhere%22`)
	p.until("it says that none match", `document.querySelector('.g-empty [data-empty=view]')?.checkVisibility() && /No records match/.test(document.querySelector('.g-empty').innerText)`)
	p.do(chromedp.Click(chromedp.CSS(`[data-do=show-all]`)))
	p.until("all are back", `document.querySelector('[data-pos="0"]') && !document.querySelector('.g-empty').checkVisibility() && !location.search.includes('filter')`)
	p.keys("f", kb.ModifierCtrl)
	p.keys("nowhere")
	p.until("a search without hits says so too", `document.querySelector('.g-empty [data-empty=view]')?.checkVisibility()`)
	p.until("and nothing of the old rows is left", `!document.querySelector('.blk')`)
}
