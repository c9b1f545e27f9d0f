package views

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func rendered(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "><", ">\n<") + "\n"
}

func TestComponentsRenderAsTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	total := int64(400)
	then := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	job := JobLine{ID: "job_a", Kind: "download", State: "running", Label: `Download <Spring> & "Co"`, Done: 100, Total: &total, Rate: 4.8}
	for name, c := range map[string]templ.Component{
		"button":       Button(ButtonProps{Kind: "primary", Icon: "check", Label: "Accept", Key: "Alt ↵"}),
		"count":        Count("edit", "12 edits"),
		"progress":     Progress(52, "Download"),
		"unknown":      Progress(-1, "Download"),
		"notice-error": NoticeBox(Notice{Kind: "error", Text: `The service says: "no" <b>`, Link: Link{"Try again", "/x?a=1&b=2"}}),
		"field-error":  FormField(Field{Name: "port", Label: "Port", Kind: "number", Value: `"><script>`, Help: "Usually 5432.", Error: "A port is a number."}),
		"field-secret": FormField(Field{Name: "password", Label: "Password", Kind: "password", Secret: true, Kept: true, Required: true}),
		"field-long":   FormField(Field{Name: "ca", Label: "CA", Kind: "longtext", Value: "\nfirst line empty"}),
		"when":         When(then, "ago"),
		"job-running":  JobPanel(JobView{Job: job, Title: "Downloading Spring"}),
		"jobs-now":     JobsIndicator(JobsNow{Count: 2, Part: 62}),
		"history": batchLine(HistoryView{Snapshot: SnapshotLink{ID: "snp_a", Name: "Spring"}},
			BatchLine{ID: 9, Label: "Trim in title", Kind: "transform", Who: "Ana", Table: "places", Address: "/x", When: then, Cells: 1204, Undoable: true}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, path := rendered(t, c), filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs from its golden file (go test ./views -update):\n%s", name, diff)
			}
		})
	}
}

func TestNumbersReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Number(0): "0", Number(3201): "3,201", Number(-1_000_000): "-1,000,000", Counted(1, "edit", "edits"): "1 edit", Counted(12, "edit", "edits"): "12 edits",
		Rate(4.83): "4.8", Rate(0.01): "", Rate(51_300.4): "51,300", Span(41 * time.Second): "41 s", Span(125 * time.Minute): "2 h 5 min", Bytes(1_234_567): "1.2 MB", Known(nil): "…",
		Initials("Ana Novák Lind"): "AN",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEveryIconThatIsNamedIsDrawn(t *testing.T) {
	t.Parallel()
	for _, file := range mustGlob(t, "*.templ", "*.go") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{`@Icon("`, `@IconSized("`, `Icon: "`} {
			for _, part := range strings.Split(string(content), mark)[1:] {
				name, _, _ := strings.Cut(part, `"`)
				if lucide(name) == "" {
					t.Errorf("%s names the icon %q, which is not in static/icons/make.mjs", file, name)
				}
			}
		}
	}
}

func mustGlob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var out []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if !strings.HasSuffix(f, "_templ.go") && !strings.HasSuffix(f, "_test.go") {
				out = append(out, f)
			}
		}
	}
	return out
}
