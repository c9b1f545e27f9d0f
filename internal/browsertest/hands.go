package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	// patience is how long an element may take to be there, also on a machine that does much else.
	patience = 30 * time.Second
	// again is the time between two looks at an element, which show whether it moves.
	again = 15 * time.Millisecond
)

type point struct{ X, Y float64 }

// Click presses the mouse on the middle of the first element that a CSS selector finds, once it is seen and stays where it is. What is drawn anew in
// between is looked for again, which the actions of chromedp do not: they hold on to the node that they found first.
func Click(selector string, options ...chromedp.MouseOption) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		var before *point
		at, err := found(ctx, t, selector, `(() => { e.scrollIntoViewIfNeeded(); const b = e.getClientRects()[0];
			return b && b.width && b.height && getComputedStyle(e).visibility === 'visible' ? { X: b.left + b.width / 2, Y: b.top + b.height / 2 } : null; })()`,
			func(now *point) bool {
				still := before != nil && *before == *now
				before = now
				return still
			})
		if err != nil {
			return err
		}
		_, err = chromedp.MouseClickXY(at.X, at.Y, options...)(ctx, t)
		return err
	})
}

// Type sets the focus on the first element that a CSS selector finds and types keys, also when it is drawn anew before.
func Type(selector, keys string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := found(ctx, t, selector, `(e.focus(), document.activeElement === e || null)`, func(*bool) bool { return true })
		if err != nil {
			return err
		}
		_, err = chromedp.KeyEvent(keys)(ctx, t)
		return err
	})
}

// Set gives the first field that a CSS selector finds a value, with the events that follow when a person does.
func Set(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := found(ctx, t, selector, `(e.value = `+literal(value)+`, ['input', 'change'].forEach((n) => e.dispatchEvent(new Event(n, { bubbles: true }))), true)`,
			func(*bool) bool { return true })
		return err
	})
}

// Reach presses a key, as Tab is, until the focus is on an element that a CSS selector matches: as often as the longest of the app's pages asks for.
func Reach(selector, key string, options ...chromedp.KeyOption) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for range 100 {
			there, err := chromedp.Evaluate[bool](`document.activeElement?.matches(`+literal(selector)+`) ?? false`)(ctx, t)
			if err != nil || there {
				return err
			}
			if _, err := chromedp.KeyEvent(key, options...)(ctx, t); err != nil {
				return err
			}
		}
		focus, err := chromedp.Evaluate[string](`document.activeElement?.outerHTML.slice(0, 200) ?? ''`)(ctx, t)
		return errors.Join(fmt.Errorf("the keyboard does not reach %s; the focus is on %s", selector, focus), err)
	})
}

// found asks an expression about the element e of a selector, until there is one, its answer is not null and is taken.
func found[T any](ctx context.Context, t *chromedp.Target, selector, expression string, take func(*T) bool) (*T, error) {
	script := `(() => { const e = document.querySelector(` + literal(selector) + `); return e ? ` + expression + ` : null; })()`
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		v, err := chromedp.Evaluate[*T](script)(ctx, t)
		if err == nil && v != nil && take(v) {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no %s to be used: %w (%v)", selector, ctx.Err(), err)
		case <-time.After(again):
		}
	}
}

func literal(s string) string {
	b, _ := json.Marshal(s) // a string always has a JSON
	return string(b)
}
