package grid

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
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
