// Package browsertest gives tests pages in a real Chromium: one browser for each test binary, since starting one takes
// more processor time than most tests, and for each page a profile of its own, so that no test sees another's cookies,
// storage, streams or tabs.
package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// closing is how long the browser may take to end before it is killed.
const closing = 10 * time.Second

var shared struct {
	sync.Mutex
	ctx context.Context
	err error
}

// Page gives the context of an empty page in a profile of its own, as wide and high as said, in CSS pixels. It goes away with
// the test. Pages that are made from it by chromedp.NewContext are further tabs of the same profile. The test binary has to
// call Close at its end; Main does.
func Page(t testing.TB, width, height int64) context.Context {
	t.Helper()
	browser, err := sharedBrowser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, quit := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(quit)
	open(t, ctx, width, height)
	return ctx
}

// Own is Page in a browser that this test starts for itself, with flags that others should not have.
func Own(t testing.TB, width, height int64, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options, err := options()
	if err != nil {
		t.Fatal(err)
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(end)
	ctx, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	open(t, ctx, width, height)
	return ctx
}

func open(t testing.TB, ctx context.Context, width, height int64) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("a page in Chromium: %v", err)
	}
}

func sharedBrowser() (context.Context, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx != nil || shared.err != nil {
		return shared.ctx, shared.err
	}
	options, err := options()
	if err != nil {
		shared.err = err
		return nil, err
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	if shared.err = chromedp.Do(ctx); shared.err == nil {
		shared.ctx = ctx
	}
	return shared.ctx, shared.err
}

// options are those of every browser. Codes: none, a plain error when there is no Chromium.
func options() ([]chromedp.ExecAllocatorOption, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1440, 900)), nil
		}
	}
	return nil, errors.New("this test needs Chromium or Chrome on the PATH")
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

// Close ends the browser that the tests of this binary shared, if any started it.
func Close() {
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx == nil {
		return
	}
	ctx, stop := context.WithTimeout(shared.ctx, closing)
	defer stop()
	_ = chromedp.Cancel(ctx)
	shared.ctx, shared.err = nil, errors.New("the browser has been closed")
}

// Main runs the tests of a package and closes the browser: func TestMain(m *testing.M) { browsertest.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	Close()
	os.Exit(code)
}
