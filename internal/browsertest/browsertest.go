// Package browsertest gives tests pages in a real Chromium. Each page has a browser of its own: a window that another test opens in the same one
// takes the focus away, and with it what the page draws and how it hears keys.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// unused are the parts of a whole browser that take time at every start, the pages below its address bar more than half of it, and that no test sees.
const unused = "WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,site-per-process,Translate"

// Page gives the context of an empty page, as wide and high as said, in CSS pixels, in a browser that is started for it with what flags are given.
// It ends with the test. Pages that are made from it by chromedp.NewContext are further tabs of the same browser.
func Page(t testing.TB, width, height int64, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(mustChromium(t)), chromedp.WindowSize(int(width), int(height)),
		chromedp.Flag("disable-features", unused))
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(end)
	ctx, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("a page in Chromium: %v", err)
	}
	return ctx
}

// mustChromium gives the path of Chromium: the engine alone where it is there, since it starts in a third of the time.
func mustChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test needs Chromium or Chrome on the PATH")
	return ""
}

// Rendering is how wide a page is looked at, in CSS pixels, and in which theme.
type Rendering struct {
	Width int64
	Theme string // light or dark
}

// Renderings are those in which tests look at pages: wide and light, narrow and dark, so that each width and each theme is among
// them; with RENDERINGS=all, or when pictures are kept in SHOTS, all four.
func Renderings() []Rendering {
	if os.Getenv("RENDERINGS") == "all" || os.Getenv("SHOTS") != "" {
		return []Rendering{{1440, "light"}, {1440, "dark"}, {390, "light"}, {390, "dark"}}
	}
	return []Rendering{{1440, "light"}, {390, "dark"}}
}

// Violations gives what axe has against the page of a context, a rule a line, and whether it is wider than its window; "" is nothing.
func Violations(ctx context.Context, t testing.TB) string {
	t.Helper()
	source, err := axe()
	if err != nil {
		t.Fatalf("axe-core is needed (npm ci): %v", err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](source+`;axe.run(document).then(r => [
		...r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).join(' | ')),
		...document.documentElement.scrollWidth > innerWidth ? ['wider than the window: ' + document.documentElement.scrollWidth] : []].join('\n'))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("axe: %v", err)
	}
	return found
}

// axe reads the program from the module's folder, which is above that of the package whose tests run.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	source, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")) // #nosec G304 -- tests only
	return string(source), err
})
