package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scratchpaper/internal/browsertest"
)

// tab is a page in a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// patience is how long one step in the browser may take.
const patience = 30 * time.Second

func mustTab(t *testing.T, width, height int64, flags ...chromedp.ExecAllocatorOption) tab {
	t.Helper()
	return tab{t, browsertest.Page(t, width, height, flags...)}
}

func (b tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, patience)
}

func (b tab) open(address string) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		b.t.Fatalf("open %s: %v", address, err)
	}
}

// says evaluates a script to a truth.
func (b tab) says(script string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+script+")"))
	return err == nil && ok
}

func (b tab) text(script string) string {
	ctx, cancel := b.within()
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return s
}

// until waits for a script to be true.
func (b tab) until(what, script string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !b.says(script) {
		if time.Now().After(deadline) {
			b.shot("failed-" + b.t.Name())
			b.t.Fatalf("still not: %s; the page is %s: %.600s", what, b.text("location.href"), b.text("document.body.innerText"))
		}
		time.Sleep(30 * time.Millisecond) // asks again until the condition holds
	}
}

// click presses the mouse on the middle of the first element that a selector finds.
func (b tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, browsertest.Click(selector)); err != nil {
		b.t.Fatalf("click %s: %v", selector, err)
	}
}

// type types keys where the focus is.
func (b tab) keys(keys string) {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
		b.t.Fatalf("type %q: %v", keys, err)
	}
}

// shot keeps a picture of the page in SHOTS, where that is set.
func (b tab) shot(name string) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := b.within()
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(dir+"/"+name+".png", png, 0o600)
	}
	if err != nil {
		b.t.Logf("no picture: %v", err)
	}
}

// cell is the selector of a cell by position and column title's index.
const firstRow = `#grid [role="row"][data-pos="0"]`

// TestTheMainJobInTheBrowser does the whole main job on the sample as a person does, looking at the sample database itself
// after the publish and after the revert.
func TestTheMainJobInTheBrowser(t *testing.T) {
	t.Parallel()
	a := notStarted(t)
	a.start()
	b := mustTab(t, 1440, 900)

	b.open(a.url)
	b.shot("home-empty")
	b.click(`form[action="/sample"] button`)
	b.until("the grid is shown", `location.pathname.includes('/tables/') && document.querySelector('`+firstRow+`')`)
	b.until("the download has ended", `[...document.querySelectorAll('[data-count="records"]')].some(e => e.textContent.includes('32,086'))`)
	before := a.places()

	name := b.text(`[...document.querySelectorAll('#grid [role="columnheader"][data-c]')].find(h => h.innerText.trim() === 'name').dataset.c`)
	cell := firstRow + ` [data-c="` + name + `"]`
	b.click(cell)
	b.keys("Renamed by keyboard" + kb.Enter)
	b.until("the edit is shown", `document.querySelector('`+cell+`').innerText.includes('Renamed by keyboard')`)
	b.until("the edit is counted", `[...document.querySelectorAll('[data-count="edits"]')].some(e => e.textContent.trim() === '1')`)
	b.shot("grid-edited")

	b.click(`form[action$="/plans"] button`)
	b.until("the plan is shown", `location.pathname.includes('/plans/') && document.querySelector('#publish')`)
	b.shot("plan")
	b.click("#publish")
	b.until("the publish is done", `document.querySelector('#revert')`)
	b.shot("published")
	after := a.places()
	if d := different(before, after); len(d) != 1 {
		t.Fatalf("%d places differ at the service after the publish, want 1", len(d))
	}

	b.click("#revert")
	b.until("the inverse plan is shown", `document.querySelector('#publish')`)
	b.click("#publish")
	b.until("the revert is done", `document.querySelector('#revert')`)
	if d := different(before, a.places()); len(d) != 0 {
		t.Fatalf("%d places differ at the service after the revert, want none", len(d))
	}
}
