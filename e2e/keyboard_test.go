package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/browsertest"
)

// press types one key with modifiers held.
func (b tab) press(key string, held ...chromedp.Modifier) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(key, chromedp.KeyModifiers(held...))); err != nil {
		b.t.Fatalf("press %q: %v", key, err)
	}
}

// tabTo presses a key until the focus is on what a selector finds.
func (b tab) tabTo(selector, key string, held ...chromedp.Modifier) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, browsertest.Reach(selector, key, chromedp.KeyModifiers(held...))); err != nil {
		b.t.Fatal(err)
	}
}

// goTo moves the active cell to a column by its title and a record by its position, from the first cell.
func (b tab) goTo(position int, title string) {
	b.t.Helper()
	column := b.text(`[...document.querySelectorAll('#grid [role="columnheader"][data-c]')].findIndex(h => h.innerText.trim() === '` + title + `')`)
	b.press(kb.Home, chromedp.ModifierCtrl)
	b.press(kb.Home)
	for range position {
		b.press(kb.ArrowDown)
	}
	var at int
	_, _ = fmt.Sscan(column, &at)
	for range at {
		b.press(kb.ArrowRight)
	}
}

// counted waits until the status bar counts something.
func (b tab) counted(name, n string) {
	b.t.Helper()
	b.until(n+" "+name, `document.querySelector('#grid-status [data-count="`+name+`"]')?.textContent.trim() === '`+n+`'`)
}

// paste gives the grid a clipboard's text, as Ctrl+V does; the browser's own clipboard is not there for a test.
func (b tab) paste(text string) {
	b.t.Helper()
	if !b.says(`(() => {
		const data = new DataTransfer();
		data.setData('text/plain', ` + "`" + text + "`" + `);
		document.querySelector('#grid').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
		return true;
	})()`) {
		b.t.Fatal("the paste did not arrive")
	}
}

// TestTheMainJobByKeyboardAlone does the main job of the product without a mouse, and looks at the sample database itself:
// after the publish exactly the approved cells differ, after the revert none do.
func TestTheMainJobByKeyboardAlone(t *testing.T) {
	t.Parallel()
	a := mustApp(t)
	b := mustTab(t, 1440, 900)

	b.open(a.url)
	b.tabTo(`form[action="/sample"] button`, kb.Tab)
	b.press(kb.Enter)
	b.until("the grid is shown", `location.pathname.includes('/tables/') && document.querySelector('`+firstRow+`')`)
	b.until("the download has ended", `[...document.querySelectorAll('[data-count="records"]')].some(e => e.textContent.includes('32,086'))`)
	b.until("the other tabs count too", `[...document.querySelectorAll('.tab small')].every(e => e.textContent.trim() !== '0' && e.textContent.trim() !== '…')`)
	before := a.places()

	// Edit a cell, paste a block over two others, take the paste back and bring it again.
	b.tabTo("#grid", kb.F6)
	b.goTo(0, "name")
	b.keys("Typed" + kb.Enter)
	b.counted("edits", "1")
	b.goTo(1, "admin_code")
	b.paste("A1\tB1\nA2\tB2\n")
	b.counted("edits", "5")
	b.press("z", chromedp.ModifierCtrl)
	b.counted("edits", "1")
	b.press("z", chromedp.ModifierCtrl, chromedp.ModifierShift)
	b.counted("edits", "5")
	b.shot("keyboard-edited")

	// Find and replace over the filtered records: walk the suggestions, accept one, reject one, accept the rest.
	b.press("k", chromedp.ModifierCtrl)
	b.press(kb.Escape)
	b.tabTo("#filter-menu summary", kb.F6)
	b.press(kb.Enter)
	b.tabTo("#filter-menu textarea", kb.Tab)
	b.keys(`country_code == "FR"`)
	b.press(kb.Tab)
	b.press(kb.Enter)
	b.until("the filter is shown", `document.querySelector('.chip') && !document.querySelector('#status-match').hidden`)
	b.tabTo("#grid", kb.F6)
	b.press("h", chromedp.ModifierCtrl)
	b.until("the dialog is open", `document.querySelector('#replace').open && document.activeElement.name === 'what'`)
	b.keys("Saint-")
	b.press(kb.Tab)
	b.keys("St ")
	b.until("the preview counts", `document.querySelector('#replace [data-count-of]')?.textContent.includes('cells') && !document.querySelector('#replace [data-submit]').disabled`)
	b.shot("keyboard-replace")
	b.press(kb.Enter)
	b.until("the suggestions are made", `!document.querySelector('#replace').open && !document.querySelector('#review').hidden`)
	total := number(a.firstTable(b), "counts", "suggestions")
	if total < 10 {
		t.Fatalf("%d suggestions", total)
	}
	standsAt := func(n int) string {
		return fmt.Sprintf(`document.querySelector('#review-where').textContent.startsWith('%d of')`, n)
	}
	b.until("it goes to the first suggestion", standsAt(1))
	b.tabTo("#grid", kb.F6)
	b.press(kb.ArrowDown, chromedp.ModifierAlt)
	b.until("the second suggestion", standsAt(2))
	b.press(kb.ArrowUp, chromedp.ModifierAlt)
	b.until("the first suggestion again", standsAt(1))
	b.press(kb.Enter, chromedp.ModifierAlt) // each goes on to the next one; keys may come faster than answers
	b.press(kb.Backspace, chromedp.ModifierAlt)
	b.counted("edits", "6")
	b.counted("suggestions", fmt.Sprint(total-2))
	b.tabTo("#review button", kb.F6)
	b.tabTo(`#review [data-do="accept-all"]`, kb.Tab)
	b.press(kb.Enter)
	b.counted("edits", fmt.Sprint(total-1+5))
	b.shot("keyboard-accepted")

	// Review, leave one change out, publish; the database differs exactly there.
	b.press(kb.Enter, chromedp.ModifierCtrl, chromedp.ModifierShift)
	b.until("the plan is shown", `location.pathname.includes('/plans/') && document.querySelector('#publish') && document.readyState === 'complete'`)
	b.tabTo(`[id^="item-"][aria-checked="true"]`, kb.Tab)
	b.press(" ")
	b.until("the record is left out, and the focus is still there", `document.activeElement.getAttribute('aria-checked') === 'false'`)
	b.shot("keyboard-plan")
	b.press(kb.Enter, chromedp.ModifierCtrl, chromedp.ModifierShift)
	b.until("the publish is done", `document.querySelector('#revert')`)
	plan := a.call("GET", strings.TrimPrefix(b.text("location.pathname"), "/api/v1"), nil, 200)
	after := a.places()
	if d := different(before, after); int64(len(d)) != number(plan, "counts", "published") || len(d) == 0 {
		t.Fatalf("%d places differ at the service, the plan published %d", len(d), number(plan, "counts", "published"))
	}
	b.shot("keyboard-published")
	if n := number(plan, "counts", "left_out"); n != 1 {
		t.Errorf("%d records are left out, want 1", n)
	}
	t.Logf("%d suggestions, %d published", total, number(plan, "counts", "published"))

	// Revert: nothing differs.
	b.tabTo("#revert", kb.Tab)
	b.press(kb.Enter)
	b.until("the inverse plan is shown", `document.querySelector('#publish') && document.readyState === 'complete'`)
	b.press(kb.Enter, chromedp.ModifierCtrl, chromedp.ModifierShift)
	b.until("the revert is done", `document.querySelector('#revert')`)
	if d := different(before, a.places()); len(d) != 0 {
		t.Fatalf("%d places differ at the service after the revert, want none", len(d))
	}
}

// firstTable gives the table that the tab shows, over the API.
func (a *app) firstTable(b tab) object {
	a.t.Helper()
	return a.call("GET", b.text("location.pathname"), nil, 200)
}
