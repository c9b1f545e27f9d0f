package store

import (
	"testing"

	"scratchpaper/internal/core"
)

// more describes tables of the kettles' connection.
func (k kettles) more(remote, title string, cols ...NewColumn) NewTable {
	return NewTable{Connection: k.t.Connection, RemoteID: remote, Title: title, Source: core.Remote, Writable: true, Columns: cols}
}

func TestReferencesFindTablesThatAreAddedLaterAndBefore(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	ref := func(title, target string) NewColumn {
		return NewColumn{RemoteID: title, Title: title, Type: core.Reference, Options: core.ColumnOptions{Target: target}}
	}
	if _, err := k.AddTables(t.Context(), k.by, k.snapshot.ID, []NewTable{k.more("public.kettles", "Kettles", ref("maker", "public.makers"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.AddTables(t.Context(), k.by, k.snapshot.ID, []NewTable{k.more("public.makers", "Makers", ref("best", "public.kettles"), ref("town", "public.towns"))}); err != nil {
		t.Fatal(err)
	}
	sn, err := k.SnapshotByID(t.Context(), k.by, k.snapshot.ID)
	if err != nil || len(sn.Tables) != 2 {
		t.Fatalf("%d tables, %v", len(sn.Tables), err)
	}
	targets := map[string]string{}
	for _, tb := range sn.Tables {
		for _, c := range tb.Columns {
			targets[c.Title] = c.Options.TargetTable
		}
	}
	if targets["maker"] != sn.Tables[1].ID || targets["best"] != sn.Tables[0].ID || targets["town"] != "" {
		t.Errorf("the references point to %v", targets)
	}
}

func TestNothingIsAddedThatIsThereAlready(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 1)
	title := NewColumn{RemoteID: "title", Title: "title", Type: core.Text}
	for what, list := range map[string][]NewTable{
		"nothing":          nil,
		"what is there":    {k.more("public.cups", "Cups", title), k.more("public.kettles", "Kettles", title)},
		"a table twice":    {k.more("public.cups", "Cups", title), k.more("public.cups", "Cups", title)},
		"too many columns": {k.more("public.kettles", "Kettles", make([]NewColumn, MaxColumns)...)},
	} {
		if _, err := k.AddTables(t.Context(), k.by, k.snapshot.ID, list); core.CodeOf(err) != core.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if sn, _ := k.SnapshotByID(t.Context(), k.by, k.snapshot.ID); len(sn.Tables) != 1 || len(sn.Tables[0].Columns) != 8 {
		t.Errorf("the tables are %+v", sn.Tables)
	}
	if _, err := k.AddTables(t.Context(), core.Actor{Org: "org_x", Role: core.Admin}, k.snapshot.ID, []NewTable{k.more("public.cups", "Cups", title)}); core.CodeOf(err) != core.NotFound {
		t.Errorf("somebody else: %v", err)
	}
}
