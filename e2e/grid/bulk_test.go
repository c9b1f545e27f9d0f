package grid

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"scratchpaper/jobs"
)

// startJobs adds workers to the shop.
func (s shop) startJobs(t *testing.T) {
	t.Helper()
	r := jobs.New(jobs.Options{Store: s.Store, Redis: s.redis, Timings: jobs.DefaultTimings(), Workers: 2, Log: slog.New(slog.DiscardHandler)})
	s.SetWaker(r.Wake)
	must(t, r.Start())
	t.Cleanup(r.Stop)
}

// TestALargeChangeIsAJobAndWhatIsTypedMeanwhileIsSentAfterIt clears a column as a job that has no worker yet, types into it,
// and lets the job run: what was typed last stays.
func TestALargeChangeIsAJobAndWhatIsTypedMeanwhileIsSentAfterIt(t *testing.T) {
	t.Parallel()
	s := mustShopOf(t, 60, 50)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(" ", kb.ModifierCtrl) // the column
	p.keys(kb.Delete)
	p.until("it says who is doing what", `/You: Clear in Kettles, waiting for its turn/.test(document.querySelector('#status-busy:not([hidden])')?.textContent)`)
	p.keys(kb.ArrowDown + "Typed meanwhile" + kb.Enter)
	p.until("the edit is kept", `/^1 change is kept here and sent when that has ended$/.test(document.querySelector('#status-outbox:not([hidden])')?.textContent)`)
	if got := s.value(t, ids[1], "title"); got != "Kettle 1" {
		t.Errorf("the edit went before the job: %q", got)
	}
	p.open(s.address()) // a reload loses neither
	p.until("both are still on their way", `document.querySelector('#status-busy:not([hidden])') && /^1 change is kept/.test(document.querySelector('#status-outbox:not([hidden])')?.textContent)`)
	s.startJobs(t)
	p.until("the job has ended", `document.querySelector('#status-busy').hidden && document.querySelector('#status-outbox').hidden`)
	p.until("the edit is shown", `document.querySelector('`+cell(1, s.col("title"))+`')?.textContent === 'Typed meanwhile'`)
	if cleared, typed := s.value(t, ids[0], "title"), s.value(t, ids[1], "title"); cleared != "" && cleared != "null" || typed != "Typed meanwhile" {
		t.Errorf("the database holds %q and %q", cleared, typed)
	}
	p.keys("z", kb.ModifierCtrl)
	p.until("the edit is undone", `document.querySelector('`+cell(1, s.col("title"))+`')?.textContent !== 'Typed meanwhile'`)
	p.keys("z", kb.ModifierCtrl)
	p.until("the clearing is undone", `document.querySelector('`+cell(1, s.col("title"))+`')?.textContent === 'Kettle 1'`)
}

// TestACancelledLargeChangeIsSaidAndWhatWaitedIsSent cancels a job before it has a worker.
func TestACancelledLargeChangeIsSaidAndWhatWaitedIsSent(t *testing.T) {
	t.Parallel()
	s := mustShopOf(t, 60, 50)
	p, ids := mustPage(t, s.address()), s.ids(t)
	p.keys(" ", kb.ModifierCtrl)
	p.keys(kb.Delete)
	p.until("it says who is doing what", `document.querySelector('#status-busy:not([hidden])')`)
	p.keys(kb.ArrowDown + "Typed" + kb.Enter)
	job := unquoted(t, p.get(`document.querySelector('#status-busy').getAttribute('href')`))
	res, err := http.Post(s.url+job+"/cancel", "application/x-www-form-urlencoded", strings.NewReader(""))
	must(t, err)
	res.Body.Close()
	p.until("it is said", `/was cancelled. Nothing was changed/.test(document.querySelector('#toasts')?.textContent + [...document.querySelectorAll('.is-refused')].map((c) => c.title).join())`)
	p.until("what waited is saved", `document.querySelector('`+cell(1, s.col("title"))+`')?.classList.contains('is-edited')`)
	if first, second := s.value(t, ids[0], "title"), s.value(t, ids[1], "title"); first != "Kettle 0" || second != "Typed" {
		t.Errorf("the database holds %q and %q", first, second)
	}
}
