package grid

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/browsertest"
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
	var at struct{ X, Y float64 } // and not the node: rows are drawn anew at any time
	must(p.t, json.Unmarshal([]byte(p.get(fmt.Sprintf(`(() => { const b = document.querySelector('%s').getBoundingClientRect(); return { X: b.left + b.width / 2, Y: b.top + b.height / 2 }; })()`, cell(position, column)))), &at))
	p.do(chromedp.MouseClickXY(at.X, at.Y))
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
	p.until("both are drawn", fmt.Sprintf(`[0, 1].map((i) => document.querySelector('[data-pos="' + i + '"] [data-c="%d"]:not(.is-pending) .pill')?.textContent).join() === 'capital,hamlet'`, kind))
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
	p.click(`[data-do=show-all]`)
	p.until("all are back", `document.querySelector('[data-pos="0"]') && !document.querySelector('.g-empty').checkVisibility() && !location.search.includes('filter')`)
	p.keys("f", kb.ModifierCtrl)
	p.keys("nowhere")
	p.until("a search without hits says so too", `document.querySelector('.g-empty [data-empty=view]')?.checkVisibility()`)
	p.until("and nothing of the old rows is left", `!document.querySelector('.blk')`)
}

func TestNumbersAreInGroupsToTheEyeAndPlainInTheEditor(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p, ids, people := mustPage(t, s.address()), s.ids(t), s.col("people")
	if got := p.text(0, people) + " " + p.text(0, s.col("id")); got != "514,102 32000" {
		t.Errorf("the cells show %s", got)
	}
	p.at(0, people)
	p.keys(kb.F2)
	p.until("the editor has the plain number", `document.querySelector('.editor textarea')?.value === '514102'`)
	p.keys("5" + kb.Enter)
	p.until("the new one is in groups", fmt.Sprintf(`document.querySelector('%s:not(.is-pending)')?.textContent === '5,141,025'`, cell(0, people)))
	if got := s.value(t, ids[0], "people"); got != "5141025" {
		t.Errorf("the database holds %s", got)
	}
	p.keys(kb.ArrowDown, kb.ModifierShift)
	p.until("so are sums", `/Σ 1,028,207/.test(document.querySelector('#status-sums').textContent)`)
}

func TestTheRecordPanelFollowsTheActiveCellAndNamesReferences(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p, ids, country := mustPage(t, s.address()), s.ids(t), s.col("country")
	p.keys(" ")
	p.until("the panel shows the first", `document.querySelector('.record-title')?.textContent === 'Place 0'`)
	p.at(3, country)
	p.until("it goes along", `document.querySelector('.record-title')?.textContent === 'Place 3' && document.activeElement.id === 'grid'`)
	field := fmt.Sprintf(`#record-field-%d`, country)
	p.until("it says what the reference is called", fmt.Sprintf(`document.querySelector('%s').value === 'IR' && document.querySelector('%s').nextElementSibling.textContent === 'Iran'`, field, field))
	p.until("what is empty has the grid's mark, and a list a hint", fmt.Sprintf(`document.querySelector('#record-field-%d').placeholder === '—' && /commas/.test(document.querySelector('#record-field-%d').placeholder)`, s.col("code"), s.col("also")))
	p.click(field)
	p.keys("a", kb.ModifierCtrl)
	p.keys("swed")
	p.until("it offers records by name", fmt.Sprintf(`[...document.querySelector('%s').list.options].some((o) => o.value === 'SE' && o.label === 'Sweden')`, field))
	p.keys("en" + kb.Enter)
	p.until("the name has become the record", fmt.Sprintf(`document.querySelector('%s:not(.is-pending)')?.firstChild.textContent === 'Sweden'`, cell(3, country)))
	if got := s.value(t, ids[3], "country"); got != "SE" {
		t.Errorf("the database holds %s", got)
	}
}

func TestTheFilterBuilderBeginsWithWhatIsLikelyAndChangesItsConditions(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	p := mustPage(t, s.address())
	choose := func(name, value string) {
		p.get(fmt.Sprintf(`(() => { const s = document.querySelector('[data-form=condition] [name=%s]:enabled'); s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, name, quoted(t, value)))
	}
	form := func(what, condition string) {
		p.until(what, `((f) => `+condition+`)(document.querySelector('[data-form=condition]'))`)
	}
	p.click(`#filter-menu summary`)
	choose("column", "kind")
	form("the choices are there to be picked", `f.querySelector('[name=op]').value === 'is' && f.querySelector('select[name=value]').checkVisibility() && f.querySelector('select[name=value]').options.length === 8 && !f.querySelector('input[name=value]').checkVisibility()`)
	choose("column", "name")
	form("a text begins with contains", `f.querySelector('[name=op]').value === 'contains' && f.querySelector('input[name=value]').checkVisibility()`)
	p.do(browsertest.Type(`[data-form=condition] input[name=value]`, "Place 1"+kb.Enter))
	p.until("it is a chip", `document.querySelector('.chip-text')?.textContent === 'name contains Place 1' && document.querySelector('#status-match b').textContent === '11'`)
	p.click(`.chip-text`)
	form("the chip opens the builder with its condition", `f.checkVisibility() && f.querySelector('[name=column]').value === 'name' && f.querySelector('[name=op]').value === 'contains' && document.activeElement === f.querySelector('input[name=value]') && document.activeElement.value === 'Place 1'`)
	p.keys("2" + kb.Enter)
	p.until("it is changed, and not one more", `[...document.querySelectorAll('.chip-text')].map((c) => c.textContent).join() === 'name contains Place 12'`)
}

func TestUndoGoesToWhatItChangedAndActsAreSaidOnce(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 400)
	p := mustPage(t, s.address())
	p.paste("Somewhere\tFR\nElsewhere\tSE", "") // the key, which is locked, and the name
	p.until("it says what the paste did", `/Pasted. 2 cells were changed/.test(document.querySelector('#toasts').innerText)`)
	p.keys("xyz")
	p.until("a locked cell says so once", `document.querySelectorAll('#toasts > *').length === 2`)
	p.keys(kb.End, kb.ModifierCtrl)
	p.until("the end is active", `document.querySelector('#grid-active')?.closest('[data-pos="399"]')`)
	p.keys("z", kb.ModifierCtrl)
	p.until("the cell that was undone is active", fmt.Sprintf(`document.querySelector('#grid-active')?.matches('%s') && document.querySelector('#grid-active').textContent === 'Place 0'`, cell(0, s.col("name"))))
	p.until("it is said as something done", `/^Undone: Paste/m.test(document.querySelector('#toasts').innerText)`)
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Creates: []store.NewRecord{{}}}, store.ChangeOptions{})
	must(t, err)
	p.until("a list without a sort is not called sorted", `/^listed .* ago, refresh$/.test(document.querySelector('#status-order:not([hidden])')?.textContent)`)
}

func TestTheSuggestionsBarCountsAndCloses(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	ids := s.ids(t)
	suggest := func(ids ...int64) {
		var sets []store.CellEdit
		for _, id := range ids {
			sets = append(sets, store.CellEdit{Record: id, Column: s.col("name"), Value: core.TextValue("New")})
		}
		_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: sets}, store.ChangeOptions{Suggest: true})
		must(t, err)
	}
	suggest(ids[1])
	p := mustPage(t, s.address())
	p.until("one is one", `document.querySelector('#review-where')?.textContent === '1 suggestion'`)
	p.click(`[data-do=review-close]`)
	p.until("it is closed", `document.querySelector('#review').hidden && document.activeElement.id === 'grid'`)
	suggest(ids[2], ids[3])
	p.until("more of them open it again", `!document.querySelector('#review').hidden && document.querySelector('#review-where').textContent === '3 suggestions'`)
	p.at(1, s.col("name"))
	p.until("those of the column are counted", `document.querySelector('#review-column-count').textContent === '3'`)
	p.keys(kb.Enter, kb.ModifierAlt)
	p.until("and again when some are decided", `document.querySelector('#review-column-count').textContent === '2'`)
	p.click(`[data-do=reject-all]`)
	p.until("all are rejected", `document.querySelector('#review').hidden && /Rejected 2 suggestions/.test(document.querySelector('#toasts').innerText)`)
}

func TestTheTitleStaysBesideTheKeyAndAPhoneHasEverything(t *testing.T) {
	t.Parallel()
	s := mustPlaces(t, 20)
	ids := s.ids(t)
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{{Record: ids[0], Column: s.col("name"), Value: core.TextValue("Two\nlines")}}}, store.ChangeOptions{})
	must(t, err)
	p := mustPage(t, s.address())
	p.until("a text of several lines has a mark", fmt.Sprintf(`document.querySelector('%s.is-lines')`, cell(0, s.col("name"))))
	p.at(0, s.col("name"))
	p.keys("o", kb.ModifierAlt)
	p.until("the old value is shown at the cell", `document.querySelector('.old-value')?.textContent === 'was Place 0'`)
	p.do(chromedp.EmulateViewport(1000, 700))
	left := fmt.Sprintf(`Math.round(document.querySelector('%s').getBoundingClientRect().left)`, cell(1, s.col("name")))
	before := p.get(left)
	p.get(`void (document.querySelector('#grid').scrollLeft = 300)`)
	p.until("the others are scrolled", `document.querySelector('#grid').scrollLeft >= 150`)
	if after := p.get(left); after != before {
		t.Errorf("the title stood at %s and stands at %s", before, after)
	}
	p.do(chromedp.EmulateViewport(390, 800))
	p.until("it makes room on a phone", left+` < 0`)
	for _, act := range []string{"find", "replace", "add"} {
		p.click(`summary[aria-label=More]`)
		p.until(act+" is in the menu", `document.querySelector('.pop [data-do=`+act+`]').checkVisibility()`)
		p.keys(kb.Escape)
	}
	p.get(`void (document.querySelector('#status-order').before('listed '.repeat(6)))`)
	p.until("what has no room under the grid goes to the next line", `document.querySelector('#grid-status').scrollWidth <= document.querySelector('#grid-status').clientWidth && document.querySelector('#grid-status').clientHeight > 40`)
	p.until("the tabs have the whole width", `document.querySelector('.tabs-list').clientWidth > 360`)
}
