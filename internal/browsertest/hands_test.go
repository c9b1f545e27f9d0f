package browsertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// restless draws its button and its field anew all the time; what is done to them is kept outside of them.
const restless = `<!doctype html><title>Restless</title><main></main><script>
	let pressed = 0, typed = '', value = '';
	addEventListener('mousedown', (e) => { if (e.target.matches('button')) pressed++; });
	addEventListener('keypress', (e) => { typed += e.key; });
	addEventListener('change', (e) => { value += e.target.value; });
	const draw = () => { document.querySelector('main').innerHTML = '<button>Press</button><input>'; };
	setInterval(draw, 1);
</script>`

func TestHandsFindWhatIsDrawnAnewAllTheTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(restless))
	}))
	t.Cleanup(server.Close)
	ctx := Page(t, 800, 600)
	const times = 20
	steps := []chromedp.Action[chromedp.Void]{chromedp.Navigate(server.URL)}
	for range times {
		steps = append(steps, Click("main button"))
	}
	steps = append(steps, Set("input", "new"))
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[[]any](`[pressed, value]`))
	if err != nil || got[0] != float64(times) || got[1] != "new" {
		t.Errorf("pressed and set are %v, want %d and new: %v", got, times, err)
	}
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector('main').outerHTML = '<input id="still">'; 0`), Type("#still", "kettle")); err != nil {
		t.Fatal(err)
	}
	typed, err := chromedp.Run(ctx, chromedp.Evaluate[string](`typed`))
	if err != nil || typed != "kettle" {
		t.Errorf("typed is %q, want kettle: %v", typed, err)
	}
}

func TestHandsGiveUpOnWhatIsNotThereOrNotSeen(t *testing.T) {
	t.Parallel()
	ctx := Page(t, 800, 600)
	if err := chromedp.Do(ctx, chromedp.Navigate(`data:text/html,<button hidden>Press</button>`)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []chromedp.Action[chromedp.Void]{Click("button"), Click("a"), Type("input", "x"), Set("input", "x")} {
		soon, cancel := context.WithTimeout(ctx, time.Second)
		if err := chromedp.Do(soon, step); err == nil {
			t.Error("a hidden button, or what is not there, was used")
		}
		cancel()
	}
}
