package handlers

import (
	"net/url"
	"testing"
	"time"

	"scratchpaper/internal/localdb/testdb"
)

func TestChangesOfColumnsAreShownAndTakenOver(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	s.mustWork(t)
	snapshot, table := s.mustTake(t, "public.kettles")
	s.get(t, table+"/schema").is(t, 200, "The columns are as they are at the service")
	service := testdb.Pool(t, s.service.String())
	alter := func(sql string) {
		t.Helper()
		if _, err := service.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	alter(`alter table kettles rename column title to name; alter table kettles add column stock int default 3, add column shelf text default 'a'`)
	job := s.post(t, snapshot+"/refresh", url.Values{}).header.Get("Location")
	s.ended(t, time.Minute, job)
	s.get(t, job).is(t, 200, "3 changes of columns", `href="`+table+`/schema"`)
	s.get(t, table).is(t, 200, "The columns of this table have changed at the service.", `href="`+table+`/schema"`)
	s.get(t, table+"/schema").is(t, 200, "<del", ">title</del>", ">name</ins>", `value="stock"`, `value="shelf"`, "Take over")
	for _, width := range []int64{1440, 390} {
		b := mustBrowser(t, s, width)
		for _, page := range []string{table + "/schema", "/connections/new/postgres"} {
			b.open(page)
			if found := b.violations(); found != "" {
				t.Errorf("%s at %d px: %s", page, width, found)
			}
			b.shot(page, "light", width)
		}
	}
	taken := s.post(t, table+"/schema", url.Values{"add": {"stock"}})
	if taken.status != 303 {
		t.Fatalf("taking over: %d %s", taken.status, taken.body)
	}
	s.ended(t, time.Minute, taken.header.Get("Location"))
	page := s.get(t, table)
	page.is(t, 200, "stock")
	page.lacks(t, "shelf", "have changed at the service")
	s.post(t, table+"/schema", url.Values{}).is(t, 409, "Nothing of kettles differs")
}
