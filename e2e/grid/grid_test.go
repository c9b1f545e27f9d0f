package grid

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/browsertest"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

func TestTypingReplacesAndEnterGoesDown(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 40)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys("Blue kettle" + kb.Enter)
	p.until("the cell is edited", `document.querySelector('`+cell(0, s.col("title"))+`')?.classList.contains('is-edited')`)
	if got := s.value(t, ids[0], "title"); got != "Blue kettle" {
		t.Errorf("the database holds %q", got)
	}
	p.until("the old value is told", `document.querySelector('`+cell(0, s.col("title"))+`').title.includes('was Kettle 0')`)
	p.until("the next row is active", `document.querySelector('#grid-active')?.closest('.r').dataset.pos === '1'`)
	p.keys("z", kb.ModifierCtrl)
	p.until("it is undone", `document.querySelector('`+cell(0, s.col("title"))+`')?.textContent === 'Kettle 0'`)
	p.until("nothing is edited", `!document.querySelector('.is-edited')`)
	p.until("the active cell has not moved", `document.querySelector('#grid-active')?.closest('.r').dataset.pos === '1'`)
}

func TestFastTypingLosesNothing(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 60)
	p, ids := mustPage(t, s.address()), s.ids(t)
	var typed strings.Builder
	for i := range 30 {
		fmt.Fprintf(&typed, "Row %d%s", i, kb.Enter)
	}
	p.keys(typed.String())
	p.until("all is saved", `document.querySelectorAll('.is-edited').length >= 20 && !document.querySelector('.is-pending')`)
	for i := range 30 {
		if got, want := s.value(t, ids[i], "title"), fmt.Sprintf("Row %d", i); got != want {
			t.Errorf("row %d holds %q", i, got)
		}
	}
}

func TestEditsMadeWithoutNetworkAreSentWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.offline(true)
	p.keys("One" + kb.Enter + "Two" + kb.Enter)
	p.until("they are shown", `document.querySelectorAll('.is-pending').length === 2`)
	p.until("it is said", `/changes are kept here/.test(document.querySelector('#status-outbox').textContent)`)
	p.offline(false)
	p.until("they are saved", `document.querySelectorAll('.is-edited').length === 2 && !document.querySelector('.is-pending')`)
	if one, two := s.value(t, ids[0], "title"), s.value(t, ids[1], "title"); one != "One" || two != "Two" {
		t.Errorf("the database holds %q and %q", one, two)
	}
}

func TestWhatAClosedPageLeftIsSentByTheNext(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.offline(true)
	p.keys("Kept" + kb.Enter)
	p.until("it is in the outbox", `new Promise((resolve) => { const o = indexedDB.open('scratchpaper-outbox'); o.onsuccess = () => {
		const c = o.result.transaction('writes').objectStore('writes').count(); c.onsuccess = () => { o.result.close(); resolve(c.result === 1) } } })`)
	p.offline(false)
	p.open(s.address())
	p.until("it is shown", `document.querySelector('`+cell(0, s.col("title"))+`')?.textContent === 'Kept' && document.querySelector('.is-edited')`)
	if got := s.value(t, ids[0], "title"); got != "Kept" {
		t.Errorf("the database holds %q", got)
	}
}

func TestAValueThatDoesNotFitKeepsTheEditorOpen(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(kb.ArrowRight + "ten" + kb.Enter)
	p.until("the reason is under the editor", `/takes a number/.test(document.querySelector('.editor-reason')?.textContent)`)
	p.until("the editor has the focus", `document.activeElement.closest('.editor')`)
	p.keys(kb.Escape)
	p.until("it is closed", `!document.querySelector('.editor') && document.activeElement.id === 'grid'`)
	if got := s.value(t, ids[0], "price"); got != "29.00" {
		t.Errorf("the price is %s", got)
	}
}

func TestAPasteKeepsQuotesTabsAndLinesAndTheRowBelow(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.paste("A\t1.50\n\"B \"\"q\"\"\nsecond\tline\"\t2\n", "")
	p.until("it is there", `document.querySelectorAll('.is-edited').length === 4 && !document.querySelector('.is-pending')`)
	for i, want := range [][2]string{{"A", "1.50"}, {"B \"q\"\nsecond\tline", "2"}, {"Kettle 2", "29.00"}} {
		if got := [2]string{s.value(t, ids[i], "title"), s.value(t, ids[i], "price")}; got != want {
			t.Errorf("row %d: %q", i, got)
		}
	}
	p.keys("z", kb.ModifierCtrl)
	p.until("one undo takes it back", `!document.querySelector('.is-edited')`)
}

func TestAPasteOfASpreadsheetsTable(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.paste("ignored", "<html><body><!--StartFragment--><table><tr><td>Two<br>lines\n  wrapped</td><td>3</td></tr><tr><td colspan=2>Wide &amp; &lt;b&gt;</td></tr></table></body></html>")
	p.until("it is there", `document.querySelectorAll('.is-edited').length === 4 && !document.querySelector('.is-pending')`)
	if got := s.value(t, ids[0], "title"); got != "Two\nlines wrapped" {
		t.Errorf("got %q", got)
	}
	if got := s.value(t, ids[1], "title"); got != "Wide & <b>" {
		t.Errorf("got %q", got)
	}
}

func TestAPastePastTheLastRowOffersToCreate(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 3)
	p := mustPage(t, s.address())
	p.keys(kb.ArrowDown + kb.ArrowDown)
	p.paste("Last\nNew one\nNew two", "")
	p.until("it asks", `/2 records more/.test(document.querySelector('#more-rows[open]')?.innerText)`)
	p.click(`#more-rows button[value=create]`)
	p.until("they are shown", `document.querySelectorAll('.r.is-created').length === 2`)
	o, err := s.Order(t.Context(), s.by, s.table.Ref(), store.View{}, 0)
	must(t, err)
	if o.Len() != 5 {
		t.Errorf("there are %d records", o.Len())
	}
	if got := p.text(4, s.col("title")); got != "New two" {
		t.Errorf("the last is %q", got)
	}
}

func TestOneValueFillsTheSelectionAsOneBatch(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 2000)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(" ", kb.ModifierCtrl)
	p.paste("Same", "")
	p.until("it is filled", `document.querySelector('`+cell(0, s.col("title"))+`.is-edited')?.textContent === 'Same' && !document.querySelector('.is-pending')`)
	if got := s.value(t, ids[1999], "title"); got != "Same" {
		t.Errorf("the last record holds %q", got)
	}
	history, err := s.History(t.Context(), s.by, s.table.Snapshot, 0, 1)
	must(t, err)
	if history[0].Cells != 2000 {
		t.Errorf("the batch has %d cells", history[0].Cells)
	}
}

func TestKeysMoveSelectFillAndClear(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 300)
	p, ids := mustPage(t, s.address()), s.ids(t)
	at := func(what string, pos, col int) {
		t.Helper()
		p.until(what, fmt.Sprintf(`document.querySelector('#grid-active')?.matches('%s')`, cell(pos, col)))
	}
	p.keys(kb.End, kb.ModifierCtrl)
	at("Ctrl+End is the last cell", 299, s.col("id"))
	p.keys(kb.Home)
	at("Home is the first column", 299, s.col("title"))
	p.keys(kb.Home, kb.ModifierCtrl)
	at("Ctrl+Home is the first cell", 0, s.col("title"))
	p.keys(kb.Tab)
	at("Tab goes right", 0, s.col("price"))
	p.keys(kb.PageDown)
	p.until("PageDown goes on", `Number(document.querySelector('#grid-active')?.closest('.r').dataset.pos) > 10`)
	p.keys(kb.Home, kb.ModifierCtrl)
	p.keys(kb.ArrowDown+kb.ArrowDown, kb.ModifierShift)
	p.until("three are selected", `document.querySelectorAll('[aria-selected]').length === 3`)
	p.keys("d", kb.ModifierCtrl)
	p.until("they are filled", `document.querySelectorAll('.is-edited').length === 2`)
	if got := s.value(t, ids[2], "title"); got != "Kettle 0" {
		t.Errorf("filled with %q", got)
	}
	p.keys(kb.Delete)
	p.until("they are cleared", `document.querySelectorAll('.is-edited.is-null').length === 3 && !document.querySelector('.is-pending')`)
	if got := s.value(t, ids[0], "title"); got != "null" {
		t.Errorf("cleared to %q", got)
	}
	p.keys(kb.Home, kb.ModifierCtrl)
	p.keys(kb.ArrowRight + kb.ArrowRight + " ")
	p.until("Space ticks", `document.querySelector('`+cell(0, s.col("sold"))+`.is-on.is-edited')`)
}

func TestAJumpShowsTheRightRowsAndKeepsFewNodes(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5000)
	p := mustPage(t, s.address())
	for _, pos := range []int{4321, 17, 2500, 4990, 1234} {
		p.get(fmt.Sprintf(`void (document.querySelector('#grid').scrollTop = %d)`, pos*32))
		p.until("the rows are there", fmt.Sprintf(`document.querySelector('%s')?.textContent === 'Kettle %d'`, cell(pos, s.col("title")), pos))
	}
	var nodes int
	must(t, json.Unmarshal([]byte(p.get(`document.querySelectorAll('#grid *').length`)), &nodes))
	if nodes >= 1400 {
		t.Errorf("the grid has %d nodes", nodes)
	}
	p.until("only what is near is drawn", `document.querySelectorAll('.r').length <= 96`)
}

// What is undone may be far from what is looked at: the place and the active cell stay where they are.
func TestAnUndoFarDownDoesNotMoveThePlace(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5000)
	p, ids := mustPage(t, s.address()), s.ids(t)
	const place = 3000 * 32
	title := cell(3001, s.col("title"))
	p.get(fmt.Sprintf(`void (document.querySelector('#grid').scrollTop = %d)`, place))
	p.until("the rows there are shown", fmt.Sprintf(`document.querySelector('%s')?.textContent === 'Kettle 3001'`, title))
	p.click(title)
	p.keys("Blue kettle" + kb.Enter)
	p.until("the cell is edited", `document.querySelector('`+title+`')?.classList.contains('is-edited') && !document.querySelector('.is-pending')`)
	p.keys("z", kb.ModifierCtrl)
	p.until("it is as it was", `document.querySelector('`+title+`')?.textContent === 'Kettle 3001'`)
	if got := s.value(t, ids[3001], "title"); got != "Kettle 3001" {
		t.Errorf("the database holds %q", got)
	}
	p.until("the place is the same", fmt.Sprintf(`document.querySelector('#grid').scrollTop === %d && document.querySelector('#grid-active')?.closest('.r').dataset.pos > 2990`, place))
}

func TestTheFirstRowsNeedNoScript(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 50)
	p := mustPage(t, s.address())
	html := p.get(`fetch(location.href).then((r) => r.text())`)
	for _, want := range []string{"Kettle 0", "Kettle 39", `role=\"grid\"`, "sort=title"} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
}

// Nothing moves when the script takes over: the columns have had their widths from the first paint on.
func TestTheFirstPaintHasTheColumnsWidths(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 30)
	p := mustPage(t, s.address())
	const widths = `[...document.querySelectorAll('#grid .hc')].map((h) => Math.round(h.getBoundingClientRect().width)).join()`
	with := p.get(widths)
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	must(t, err)
	p.do(chromedp.Navigate(s.address()))
	if without := p.get(widths); without != with {
		t.Errorf("the columns are %s px wide at first and %s px then", without, with)
	}
}

func TestTheAddressCarriesTheViewAndBackWorks(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 100)
	p := mustPage(t, s.address())
	p.click(fmt.Sprintf(`.g-head [data-c="%d"] .ht`, s.col("price")))
	p.until("it is sorted", `location.search.includes('sort=price') && document.querySelector('[aria-sort=ascending]')`)
	p.get(`document.querySelector('#filter-menu').setAttribute('open', '')`)
	p.do(browsertest.Set(`#filter-expression`, `title == "Kettle 42"`), browsertest.Click(`[data-form=expression] button`))
	p.until("it is filtered", `document.querySelector('#status-match b').textContent === '1' && document.querySelectorAll('.r').length === 1`)
	p.until("a chip says so", `document.querySelector('.chip')?.textContent.includes('title is Kettle 42')`)
	p.get(`history.back()`)
	p.until("Back takes the filter away", `!location.search.includes('filter=') && document.querySelectorAll('.r').length > 20`)
	p.open(s.address() + "?filter=" + "prize+%3D%3D+1")
	p.until("a wrong filter is named", `/prize/.test(document.querySelector('[data-form=expression] [data-error]')?.textContent)`)
}

func TestSuggestionsAreWalkedAcceptedAndRejectedByKey(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	ids := s.ids(t)
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{
		{Record: ids[3], Column: s.col("title"), Value: core.TextValue(`<script>x</script>`)}, {Record: ids[5], Column: s.col("note"), Value: core.TextValue("")},
		{Record: ids[7], Column: s.col("price"), Value: core.TextValue("0")},
	}}, store.ChangeOptions{Suggest: true})
	must(t, err)
	p := mustPage(t, s.address())
	p.until("the bar counts them", `document.querySelector('#review-where')?.textContent === '3 suggestions'`)
	p.until("they are shown", `document.querySelectorAll('.is-suggested').length === 3`)
	p.keys(kb.ArrowDown, kb.ModifierAlt)
	p.until("the first is active", `document.querySelector('#grid-active')?.matches('`+cell(3, s.col("title"))+`')`)
	p.keys(kb.Enter, kb.ModifierAlt)
	p.until("the next one follows", `document.querySelector('#grid-active')?.matches('`+cell(5, s.col("note"))+`')`)
	if got := s.value(t, ids[3], "title"); got != "<script>x</script>" {
		t.Errorf("accepted as %q", got)
	}
	p.keys(kb.Backspace, kb.ModifierAlt)
	p.until("the last one follows", `document.querySelector('#grid-active')?.matches('`+cell(7, s.col("price"))+`')`)
	if got := s.value(t, ids[5], "note"); got != "Boils." {
		t.Errorf("rejected, and it holds %q", got)
	}
	p.keys(kb.Enter, kb.ModifierAlt)
	p.until("the bar is gone", `document.querySelector('#review').hidden`)
	if got := s.value(t, ids[7], "price"); got != "0" {
		t.Errorf("accepted as %q", got)
	}
}

func TestChangesOfOthersAppearInPlace(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 200)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(kb.ArrowDown + kb.ArrowDown + "half ty")
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{{Record: ids[4], Column: s.col("title"), Value: core.TextValue("Theirs")}}}, store.ChangeOptions{})
	must(t, err)
	p.until("it is there", `document.querySelector('`+cell(4, s.col("title"))+`')?.textContent === 'Theirs'`)
	p.until("the half-typed cell stays", `document.querySelector('.editor textarea')?.value === 'half ty'`)
	p.until("the count follows", `document.querySelector('#grid-status [data-count=edits]').textContent === '1'`)
}

func TestAnEmptyTableShowsTheFirstRecordsThatCome(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 0)
	p := mustPage(t, s.address())
	p.until("it says that there is nothing", `document.querySelector('.g-empty')?.innerText.includes('has no records')`)
	title := map[int]core.Value{s.col("title"): core.TextValue("First")}
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Creates: []store.NewRecord{{Values: title}}}, store.ChangeOptions{})
	must(t, err)
	p.until("the record is there", `document.querySelector('`+cell(0, s.col("title"))+`')?.textContent === 'First' && document.querySelector('.g-empty').hidden`)
}

func TestTheRecordPanelOpensEditsAndGivesTheFocusBack(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(kb.ArrowDown + " ")
	p.until("it is open", `document.querySelector('#record-panel[data-open=true] .record-title')?.textContent === 'Kettle 1'`)
	p.until("the address names it", fmt.Sprintf(`location.search.includes('record=%d')`, ids[1]))
	field := fmt.Sprintf("#record-field-%d", s.col("price"))
	p.do(browsertest.Set(field, "31.50"), browsertest.Type(field, ""))
	p.keys(kb.Enter)
	p.until("it is saved and shown in the grid", `document.querySelector('`+cell(1, s.col("price"))+`.is-edited')?.textContent === '31.50'`)
	p.until("the panel shows old and new", `document.querySelector('#record-panel .field.is-edited del')?.textContent === '29.00'`)
	p.click(`#record-panel .field.is-edited .link`)
	p.until("Restore makes it clean", `!document.querySelector('.is-edited')`)
	p.keys(kb.Escape)
	p.until("Esc closes it and the grid has the focus", `document.querySelector('#record-panel').dataset.open === 'false' && document.activeElement.id === 'grid'`)
	p.open(fmt.Sprintf("%s/records/%d", s.address(), ids[4]))
	p.until("it has an address of its own", `document.querySelector('.record-title')?.textContent === 'Kettle 4'`)
}

func TestADoubleClickEditsAndADragSelects(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 30)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.do(browsertest.Click(cell(3, s.col("price")), chromedp.ClickCount(2)))
	p.until("the editor is open on the cell", `document.activeElement.matches('.editor textarea') && document.activeElement.value === '29.00'`)
	p.keys(kb.Escape)
	p.do(browsertest.Click(cell(4, s.col("status")), chromedp.ClickCount(2)))
	p.until("the choices are listed", `document.querySelectorAll('.editor-list li').length === 2`)
	p.click(`.editor-list li[data-value="live"]`)
	p.until("the choice is taken", `document.querySelector('`+cell(4, s.col("status"))+`').textContent === 'live' && !document.querySelector('.editor')`)
	p.drag(cell(1, s.col("title")), cell(3, s.col("price")))
	p.until("six cells are selected", `document.querySelector('#status-selected').textContent.startsWith('6 cells')`)
	p.until("the choice arrived", `document.querySelector('`+cell(4, s.col("status"))+`')?.matches('.is-edited:not(.is-pending)')`)
	if got := s.value(t, ids[4], "status"); got != "live" {
		t.Errorf("the status is %s", got)
	}
}

// drag moves the pointer with its button held from one element to another.
func (p page) drag(from, to string) {
	p.t.Helper()
	at := func(selector string) (x, y float64) {
		var box []float64
		must(p.t, json.Unmarshal([]byte(p.get(`(({ x, y, width, height }) => [x + width / 2, y + height / 2])(document.querySelector('`+selector+`').getBoundingClientRect())`)), &box))
		return box[0], box[1]
	}
	x, y := at(from)
	tox, toy := at(to)
	mouse := func(kind input.DispatchMouseEventType, x, y float64) {
		_, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1})
		must(p.t, err)
	}
	mouse(input.DispatchMouseEventTypeMousePressed, x, y)
	for i := range 5 {
		part := float64(i+1) / 5
		mouse(input.DispatchMouseEventTypeMouseMoved, x+(tox-x)*part, y+(toy-y)*part)
	}
	mouse(input.DispatchMouseEventTypeMouseReleased, tox, toy)
}

// What is typed after the button for a new record was pressed goes into the record; a space does not press the button again.
func TestANewRecordTakesWhatIsTyped(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 20)
	p := mustPage(t, s.address())
	p.click(`[data-do="add"]`)
	p.until("the record is there and the grid has the focus", `document.querySelector('[data-pos="20"]') && document.activeElement.id === 'grid'`)
	p.keys("Tall kettle" + kb.Enter)
	p.until("it has its title", `document.querySelector('`+cell(20, s.col("title"))+`')?.textContent === 'Tall kettle'`)
	table, err := s.TableByID(t.Context(), s.by, s.table.Ref())
	must(t, err)
	if *table.Counts.Created != 1 {
		t.Errorf("%d records were made", *table.Counts.Created)
	}
}

func TestFindAndReplaceSuggestsOverTheFilteredRows(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 100)
	p, ids := mustPage(t, s.address()+"?filter=title.startsWith%28%22Kettle+1%22%29"), s.ids(t)
	p.keys("h", kb.ModifierCtrl)
	p.until("it asks", `document.querySelector('dialog#replace[open]')`)
	p.do(browsertest.Type(`[name=what]`, "Kettle"), browsertest.Type(`[name=with]`, "Pot"))
	p.until("it counts", `/11 cells/.test(document.querySelector('#replace-preview')?.innerText) && document.querySelector('#replace-preview ins')?.textContent === 'Pot'`)
	p.until("nothing is written yet", `!document.querySelector('.is-suggested')`)
	p.do(chromedp.EmulateViewport(1440, 500))
	p.until("its button is seen whole in a low window", `document.querySelector('#replace').getBoundingClientRect().bottom - document.querySelector('[data-submit]').getBoundingClientRect().bottom > 8`)
	p.do(chromedp.EmulateViewport(1440, 900), browsertest.Click(`[data-submit]`))
	p.until("there are suggestions", `document.querySelector('#review-where')?.textContent === '1 of 11'`)
	p.until("its cell says so", `document.querySelector('#grid-active')?.dataset.sug`)
	anew := `(() => {
		document.querySelector('#grid-active').removeAttribute('data-sug');
		[...document.querySelectorAll('[data-column]')].at(-1).click();
		return document.querySelector('#review-where').textContent;
	})()`
	if got := p.get(anew); got != `"1 of 11"` { // a row that is being drawn anew does not lose the place
		t.Errorf("the bar says %s", got)
	}
	if got := s.value(t, ids[1], "title"); got != "Kettle 1" {
		t.Errorf("it was changed: %q", got)
	}
	p.until("its cell says so again", `document.querySelector('#grid-active')?.dataset.sug`)
	p.get(`void document.querySelector('#grid-active').removeAttribute('data-sug')`)
	p.keys(kb.Enter, kb.ModifierAlt)
	p.get(`void [...document.querySelectorAll('[data-column]')].at(-1).click()`) // its row comes
	p.until("the suggestion is accepted whose row was on the way", `document.querySelector('#review-where')?.textContent === '1 of 10'`)
	if got := s.value(t, ids[1], "title"); got != "Pot 1" {
		t.Errorf("it holds %q", got)
	}
}

func TestFindMarksHitsAndEnterGoesToThem(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 500)
	p := mustPage(t, s.address())
	p.keys("f", kb.ModifierCtrl)
	p.keys("kettle 49")
	p.until("it counts", `document.querySelector('#find-count')?.textContent === '11'`)
	p.keys(kb.Enter)
	p.until("the first hit is active", `document.querySelector('#grid-active')?.textContent === 'Kettle 49'`)
	p.keys(kb.Enter)
	p.until("the next hit follows", `document.querySelector('#grid-active')?.textContent === 'Kettle 490'`)
	p.until("hits are marked", `CSS.highlights.get('find')?.size >= 11`)
}

func TestEnterInFindWaitsForTheHits(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 500)
	p := mustPage(t, s.address())
	p.get(`(() => { const real = window.fetch; window.fetch = async (at, how) => { // the order of the hits takes its time
		if (!String(at).includes('/order?') || !String(at).includes('find=')) return real(at, how);
		window.asked = true;
		const answer = await real(at, how);
		await new Promise((resolve) => setTimeout(resolve, 500));
		return answer;
	}; })()`)
	p.keys("f", kb.ModifierCtrl)
	p.keys("kettle 49")
	p.until("the hits are asked for", `window.asked`)
	p.keys(kb.Enter)
	p.until("the first hit is active", `document.querySelector('#grid-active')?.textContent === 'Kettle 49'`)
	if said := p.get(`document.querySelector('#toasts').innerText`); said != `""` {
		t.Errorf("it says %s", said)
	}
	p.keys(kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter + kb.Enter)
	p.until("it says when there are no more", `/No more hits/.test(document.querySelector('#toasts').innerText)`)
}

func TestTheGridSpeaksAria(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 60)
	p := mustPage(t, s.address())
	p.until("it says how large it is", `document.querySelector('#grid').getAttribute('aria-rowcount') === '61' && document.querySelector('#grid').getAttribute('aria-colcount') === '8'`)
	p.keys(kb.ArrowDown)
	p.until("it names the active cell", `document.getElementById(document.querySelector('#grid').getAttribute('aria-activedescendant'))?.closest('[role=row]').getAttribute('aria-rowindex') === '3'`)
	p.until("cells have column numbers", `[...document.querySelectorAll('.r [role=gridcell]')].every((c) => Number(c.getAttribute('aria-colindex')) >= 2)`)
	p.until("no cell has an id but the active one", `document.querySelectorAll('.r [id]:not(#grid-active, #grid-actions)').length === 0`)
	p.until("no cell has an htmx attribute", `![...document.querySelectorAll('.r *')].some((c) => c.getAttributeNames().some((n) => n.startsWith('hx-')))`)
}

func TestAxeFindsNothingOnTheGridAndTheRecord(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 60)
	ids := s.ids(t)
	_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{{Record: ids[1], Column: s.col("title"), Value: core.TextValue("Edited")}}}, store.ChangeOptions{})
	must(t, err)
	_, err = s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{{Record: ids[2], Column: s.col("title"), Value: core.TextValue("Suggested")}}}, store.ChangeOptions{Suggest: true})
	must(t, err)
	p := mustPage(t, s.address())
	for _, r := range browsertest.Renderings() {
		for _, address := range []string{s.address(), fmt.Sprintf("%s?record=%d", s.address(), ids[1])} {
			p.get(`(document.cookie = 'theme=` + r.Theme + `; path=/', 1)`)
			p.do(chromedp.EmulateViewport(r.Width, 900), chromedp.Navigate(address))
			p.until("the grid is ready", `document.querySelector('#grid')?.dataset.ready`)
			if found := browsertest.Violations(p.ctx, t); found != "" {
				t.Errorf("%d, %s, %s: %s", r.Width, r.Theme, address, found)
			}
		}
	}
}
