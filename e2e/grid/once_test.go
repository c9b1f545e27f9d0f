package grid

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"scratchpaper/store"
)

// post sends a write under an Idempotency-Key and gives status and body.
func (s shop) post(t *testing.T, path, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.address()+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(answer)
}

func TestARepeatedWriteIsAnsweredAndNotDoneAgain(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5)
	_, first := s.post(t, "/records", "key-1", `{}`)
	status, again := s.post(t, "/records", "key-1", `{}`)
	if status != http.StatusOK || again != first {
		t.Errorf("the second answer is %d %s, the first was %s", status, again, first)
	}
	o, err := s.Order(t.Context(), s.by, s.table.Ref(), store.View{}, 0)
	must(t, err)
	if o.Len() != 6 {
		t.Errorf("there are %d records", o.Len())
	}
	if status, answer := s.post(t, "/records", "key-1", `{"count": 2}`); status != http.StatusUnprocessableEntity {
		t.Errorf("the same key for another body: %d %s", status, answer)
	}
}

func TestAWriteThatWasRefusedCanBeTriedAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5)
	body := fmt.Sprintf(`{"order": "gone", "ranges": [[0, 2]], "columns": [%d], "input": "x"}`, s.col("title"))
	for range 2 {
		if status, answer := s.post(t, "/fill", "key-2", body); status != http.StatusConflict || !strings.Contains(answer, "order of the records is gone") {
			t.Errorf("got %d %s", status, answer)
		}
	}
}

func TestACopyTooLargeIsRefusedBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	s := mustShop(t, 5)
	o, err := s.Order(t.Context(), s.by, s.table.Ref(), store.View{}, 0)
	must(t, err)
	res, err := http.Get(fmt.Sprintf("%s/copy?order=%s&ranges=0-200001&cols=%d", s.address(), o.ID, s.col("title")))
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("got %d", res.StatusCode)
	}
}
