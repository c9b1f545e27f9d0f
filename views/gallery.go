package views

import "time"

// GalleryView is what the gallery shows of the parts that need data.
type GalleryView struct {
	Snapshots []SnapshotLine
	Jobs      []JobLine
	Panels    []JobView
	Icons     []string
}

// GalleryExamples makes data for every state.
func GalleryExamples(now time.Time) GalleryView {
	n := func(v int64) *int64 { return &v }
	ago := func(d time.Duration) *time.Time { t := now.Add(-d); return &t }
	running := JobLine{ID: "job_a", Kind: "download", State: "running", Label: "Download Spring catalogue", Who: "Ana", Done: 148_200, Total: n(239_000), Rate: 51_300, Started: ago(3 * time.Second), Created: now}
	states := []JobLine{
		running,
		{ID: "job_b", Kind: "refresh", State: "queued", Label: "Refresh Blog 2026", Who: "Bo"},
		{ID: "job_c", Kind: "publish", State: "waiting", WaitingFor: "person", Label: "Publish to Shop", Who: "Ana", Done: 10, Total: n(407)},
		{ID: "job_d", Kind: "download", State: "running", Label: "Download a table whose size nobody knows", Who: "Ana", Done: 12_000, Rate: 800, Stopping: true},
		{ID: "job_e", Kind: "publish", State: "done", Label: "Publish to Shop", Who: "Ana", Done: 406, Total: n(407), Failed: 1, Started: ago(time.Hour), Finished: ago(50 * time.Minute)},
		{ID: "job_f", Kind: "import", State: "failed", Label: "Import prices.csv", Who: "Ana", Error: "Line 812: the quote opened there is never closed.", Started: ago(time.Minute), Finished: ago(30 * time.Second)},
		{ID: "job_g", Kind: "refresh", State: "cancelled", Label: "Refresh Spring catalogue", Who: "Bo", Done: 900, Started: ago(time.Hour), Finished: ago(40 * time.Minute)},
	}
	tables := []TableLine{
		{ID: "tbl_a", Title: "places", Address: "/gallery", Done: 240, Total: n(240), State: "done"},
		{ID: "tbl_b", Title: "countries", Address: "/gallery", Done: 148_200, Total: n(239_000), Rate: 51_300, State: "running"},
		{ID: "tbl_c", Title: "time_zones", Address: "/gallery", State: "waiting"},
	}
	refreshed := states[4]
	refreshed.ID, refreshed.Kind, refreshed.Label, refreshed.Failed, refreshed.Done = "job_h", "refresh", "Refresh Spring catalogue", 0, 407
	return GalleryView{
		Snapshots: []SnapshotLine{
			{ID: "snp_a", Name: "Spring catalogue", From: "Shop (Postgres)", Tables: 3, Records: n(3_201), Edits: 12, Suggestions: 412, Conflicts: 1, Refreshed: ago(2 * time.Hour)},
			{ID: "snp_b", Name: "Blog 2026", From: "WordPress", Tables: 2, Job: &running},
		},
		Jobs: states,
		Panels: []JobView{
			{Job: running, Title: "Downloading Spring catalogue", Tables: tables, Back: Link{"Open Spring catalogue", "/gallery"}},
			{Job: states[2], Title: "Publishing to Shop", Ask: "The first records are published. Look at them at the service; then let it go on, or cancel."},
			{Job: refreshed, Title: "Refresh Spring catalogue", Back: Link{"Open Spring catalogue", "/gallery"}, Summary: []SumLine{
				{Title: "places", Address: "/gallery", New: 12, Changed: 340, Deleted: 3, Conflicts: 2}, {Title: "countries", Address: "/gallery"}}},
			{Job: states[5], Title: "Import prices.csv"},
		},
		Icons: []string{"activity", "check", "circle-alert", "columns-3", "database", "download", "filter", "hash", "history", "layers", "link", "lock",
			"pencil", "play", "plug", "plus", "refresh-cw", "search", "settings", "sparkles", "table-2", "trash-2", "undo-2", "upload"},
	}
}

func galleryFields() []Field {
	return []Field{
		{Name: "g-name", Label: "Name", Value: "Shop", Help: "As it is shown here.", Required: true},
		{Name: "g-wrong", Label: "Port", Kind: "number", Value: "x", Help: "Usually 5432.", Error: "A port is a number from 1 to 65535."},
		{Name: "g-secret", Label: "Password", Kind: "password", Help: "The login's password.", Secret: true, Kept: true},
		{Name: "g-choice", Label: "Encryption", Kind: "choice", Value: "require", Choices: PlainChoices([]string{"verify-full", "require", "disable"}), Required: true},
		{Name: "g-long", Label: "Certificate authority", Kind: "longtext", Placeholder: "-----BEGIN CERTIFICATE-----"},
		{Name: "g-check", Label: "Remember this", Kind: "checkbox", Value: "true", Help: "What it does."},
	}
}
