package grid

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// mustPageAs opens the grid in a browser of its own as somebody with a name.
func mustPageAs(t *testing.T, address, name string) page {
	t.Helper()
	p := mustBrowser(t)
	_, err := chromedp.Call(p.ctx, network.SetCookie, network.SetCookieParams{Name: "as", Value: name, URL: address})
	must(t, err)
	p.open(address)
	return p
}

// boxOf is where an element is seen, as the page says it.
func boxOf(selector string) string {
	return fmt.Sprintf(`(({ x, y, width, height }) => [x, y, width, height].map(Math.round).join())(document.querySelector('%s').getBoundingClientRect())`, selector)
}

func TestPeopleSeeWhereTheOthersAre(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 40)
	ada, bo := mustPageAs(t, s.address(), "Ada"), mustPageAs(t, s.address(), "Bo")
	price := cell(3, s.col("price"))
	ada.at(3, s.col("price"))
	bo.until("Ada is among the people", `document.querySelector('#people .face')?.title.startsWith('Ada')`)
	bo.until("Ada's cell has a frame with her name", `document.querySelector('.person[data-name="Ada"].is-named:not([hidden])')`)
	bo.until("the frame is around her cell", fmt.Sprintf(`%s === %s`, boxOf(".person"), boxOf(price)))
	if faces := bo.get(`document.querySelectorAll('#people .face').length`); faces != "1" {
		t.Errorf("Bo sees %s people: nobody is shown to themselves", faces)
	}
	ada.until("Bo is among the people", `document.querySelector('#people .face')?.title.startsWith('Bo')`)

	bo.get(`document.querySelector('#people .face').click()`)
	bo.until("a click on Ada goes to her cell", fmt.Sprintf(`document.querySelector('%s.is-focused')`, price))

	ada.do(chromedp.Navigate("about:blank"))
	bo.until("Ada has left", `!document.querySelector('#people .face') && !document.querySelector('.person')`)
}

// TestTheCountsAreNotAskedForAtEveryChangeOfOthers lets somebody edit one cell after the other: each is shown, and the counts follow now and
// then, however many people look on.
func TestTheCountsAreNotAskedForAtEveryChangeOfOthers(t *testing.T) {
	t.Parallel()
	const edits = 12
	s := mustShop(t, 40)
	p := mustPage(t, s.address())
	asked := func() (counts int, seconds float64) {
		counts, _ = strconv.Atoi(p.get(`performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/counts')).length`))
		seconds, _ = strconv.ParseFloat(p.get(`performance.now() / 1000`), 64)
		return counts, seconds
	}
	before, began := asked()
	for n, id := range s.ids(t)[:edits] {
		_, err := s.ApplyChanges(t.Context(), s.by, s.table.Ref(), store.Changes{Sets: []store.CellEdit{{Record: id, Column: s.col("title"), Value: core.TextValue(fmt.Sprint("Pot ", n))}}}, store.ChangeOptions{})
		must(t, err)
		p.until("the edit is shown", fmt.Sprintf(`document.querySelector('%s')?.innerText.includes('Pot %d')`, cell(n, s.col("title")), n))
	}
	after, ended := asked()
	if most := 2 + (ended-began)/3; float64(after-before) > most { // every 4 s, give or take a quarter
		t.Errorf("the counts were asked for %d times in %.1f s, want at most %.1f", after-before, ended-began, most)
	}
	p.until("the count follows", fmt.Sprintf(`document.querySelector('#grid-status [data-count=edits]').textContent === '%d'`, edits))
}
