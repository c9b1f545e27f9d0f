package store

import (
	"fmt"
	"slices"
	"testing"
)

// A publish takes what came back over into the rows piece by piece; people see it as one act, in as many parts as others acted
// in between.
func TestThePiecesOfAPublishAreOneAct(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	for _, kind := range []string{"publish", "publish", "edit", "publish", "publish", "publish"} {
		_, err := k.pool.Exec(t.Context(), `insert into `+companion(k.t, "_batches")+` (table_id, person_id, who, kind, label, cells, records) values ($1, $2, 'Ana', $3, 'x', 10, 1)`,
			k.t.ID, k.by.Person, kind)
		if err != nil {
			t.Fatal(err)
		}
	}
	newest, err := k.Acts(t.Context(), k.by, k.snapshot.ID, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range newest {
		got = append(got, fmt.Sprintf("%s %d %d", a.Kind, a.Cells, a.Records))
	}
	if want := []string{"publish 30 3", "edit 10 1", "publish 20 2"}; !slices.Equal(got, want) {
		t.Errorf("the acts are %q, want %q", got, want)
	}
	older, err := k.Acts(t.Context(), k.by, k.snapshot.ID, newest[2].ID, 10)
	if err != nil || len(older) == 0 || older[0].Kind != "download" {
		t.Errorf("before them: %+v %v", older, err)
	}
}
