package views

import (
	"os"
	"regexp"
	"testing"
)

// The grid is a .g too, and what contains its layout would leave a green choice without any room for its text.
func TestAGreenChoiceIsNotLaidOutAsTheGrid(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("../static/css/app.css")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`\.pill\.g\{[^}]*contain:none`).Match(css) {
		t.Error("a choice of the class g is contained as the grid is")
	}
}
