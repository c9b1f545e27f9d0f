// Package browsertest gives tests pages in a real Chromium. Each page has a browser of its own: a window that another test opens in the same one
// takes the focus away, and with it what the page draws and how it hears keys.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// Page gives the context of an empty page, as wide and high as said, in CSS pixels, in a browser that is started for it with what flags are given.
// It ends with the test. Pages that are made from it by chromedp.NewContext are further tabs of the same browser.
func Page(t testing.TB, width, height int64, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(mustChromium(t)), chromedp.WindowSize(int(width), int(height)))
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(end)
	ctx, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("a page in Chromium: %v", err)
	}
	return ctx
}

func mustChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
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
