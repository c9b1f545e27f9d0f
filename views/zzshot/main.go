package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	ctx, cancel := chromedp.NewContext(context.Background())
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		panic(err)
	}
	axe, _ := os.ReadFile("/work/main/node_modules/axe-core/axe.min.js")
	for _, arg := range os.Args[1:] {
		parts := strings.Split(arg, "@") // url@width@name
		var w int64 = 1440
		h := int64(900)
		if parts[1] == "390" {
			w, h = 390, 844
		}
		_ = emulation.SetDeviceMetricsOverride
		tctx, c2 := context.WithTimeout(ctx, 30*time.Second)
		err := chromedp.Do(tctx, chromedp.EmulateViewport(w, h), chromedp.Navigate(parts[0]), chromedp.Sleep(250*time.Millisecond))
		if err != nil {
			fmt.Println(arg, err)
		}
		shot, err := chromedp.Run(tctx, chromedp.FullScreenshot(100))
		if err != nil {
			fmt.Println(arg, err)
		}
		os.WriteFile("/tmp/E/shot/"+parts[2]+".png", shot, 0o644)
		res, err := chromedp.Run(tctx, chromedp.Evaluate[string](string(axe)+";"+`axe.run(document).then(r=>r.violations.map(v=>v.id+': '+v.nodes.slice(0,3).map(n=>n.target.join(' ')+' | '+n.html.slice(0,160)+' | '+(n.any[0]||n.all[0]||n.none[0]||{}).message).join('\n      ')).join('\n   ') + (document.documentElement.scrollWidth>innerWidth ? '\n   WIDE '+document.documentElement.scrollWidth : ''))`, chromedp.EvalAwaitPromise))
		if err != nil {
			fmt.Println(arg, "axe:", err)
		}
		fmt.Println(parts[2], "=>", res)
		c2()
	}
}
