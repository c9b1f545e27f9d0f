package handlers

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

func TestTheDocumentShowsTheTableOfAccess(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, rows := string(raw), 0
	for _, r := range core.Access {
		role, agent := "nobody", "–"
		if r.Role != 0 {
			role = r.Role.String()
		}
		if r.Operator {
			role = "operators"
		}
		if r.Agent {
			agent = "in their snapshot"
		}
		review := map[core.Act]string{core.Look: "what it shows", core.Decide: "if it says so", core.Account: "to leave it and sign out"}[r.Act]
		if (review != "") != r.Review {
			t.Errorf("%s by a review link is %v", r.Act, r.Review)
		}
		if row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", r.Act, r.Means, role, cmp.Or(string(r.Scope), "–"), agent, cmp.Or(review, "–")); !strings.Contains(doc, row) {
			t.Errorf("docs/access.md has no row\n%s", row)
		}
		rows++
	}
	if n := strings.Count(doc, "\n| ") - 2; n != rows {
		t.Errorf("docs/access.md has %d rows, and the table %d", n, rows)
	}
}
