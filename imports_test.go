package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrow is a rule of the layout: what packages may import of ours, and what they may not import of others.
type arrow struct {
	from   string   // a package, or a folder with /*
	to     []string // packages and folders of ours that it may import; "*" is any
	never  []string // packages of others that it may not import
	reason string   // why, as the end of a sentence
}

// arrows are the layout of docs/architecture.md. The first that fits a package counts.
var arrows = []arrow{
	{from: ".", to: []string{"*"}, reason: "main wires everything together"},
	{from: "handlers", to: []string{"views", "static", "store", "connectors", "internal/*"}, never: []string{"github.com/jackc/pgx"},
		reason: "handlers call the store's verbs, speak no SQL and know no service by name"},
	{from: "jobs", to: []string{"store", "connectors", "internal/*"}, never: []string{"net/http", "github.com/labstack/echo"},
		reason: "jobs know the store and the connectors' interface, and nothing of HTTP"},
	{from: "store", to: []string{"migrations", "internal/*"}, never: []string{"net/http", "github.com/labstack/echo"},
		reason: "the store knows nothing of HTTP, of jobs' work and of services"},
	{from: "views", to: []string{"internal/core", "internal/worddiff"}, never: []string{"github.com/jackc/pgx", "github.com/labstack/echo"},
		reason: "views know the words of the product and their own models"},
	{from: "connectors", to: []string{"internal/core"}, reason: "the interface knows the words of the product and no service"},
	{from: "connectors/list", to: []string{"connectors", "connectors/*"}, reason: "the list only names the connectors"},
	{from: "connectors/misbehave", reason: "the misbehaving proxy stands in front of any service and knows none"},
	{from: "connectors/connectortest", to: []string{"connectors", "connectors/misbehave", "internal/core"}, reason: "the suite knows the interface and no service"},
	{from: "connectors/*", to: []string{"connectors", "internal/*"}, reason: "a connector knows its service, and nothing of snapshots or of other connectors"},
	{from: "migrations", to: []string{"internal/core"}, reason: "migrations come before everything else"},
	{from: "static", reason: "static files need nothing"},
	{from: "internal/core", never: []string{"github.com/jackc/pgx", "github.com/labstack/echo", "net/http"}, reason: "the words of the product import nothing of ours"},
	{from: "internal/localdb/testdb", to: []string{"internal/*", "migrations"}, reason: "the tests' databases know what they are filled with"},
	{from: "internal/*", to: []string{"internal/*"}, reason: "parts with no door of their own know each other at most"},
	{from: "e2e"}, {from: "e2e/*", to: []string{"internal/freeport", "internal/redistest"}, reason: "the tests of the whole see it from outside"},
}

// onlyTests are packages that the program itself never imports.
var onlyTests = []string{"connectors/connectortest", "connectors/misbehave", "connectors/wordpress/wordpresstest", "internal/browsertest", "internal/freeport", "internal/redistest", "internal/localdb/testdb", "internal/orgcheck", "internal/mail/mailtest", "internal/auth/clerktest", "internal/archive/archivetest", "e2e/program"}

const module = "scratchpaper"

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func listedPackages(t *testing.T) []goPackage {
	t.Helper()
	var out, words bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, words.String())
	}
	var list []goPackage
	for d := json.NewDecoder(&out); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// short gives a package's path in the module, "." for main; ok is false for others' packages.
func short(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func fits(pattern, name string) bool {
	folder, any := strings.CutSuffix(pattern, "/*")
	return pattern == "*" || pattern == name || any && strings.HasPrefix(name, folder+"/")
}

// wrongArrow says in a sentence why a package may not import another, "" when it may.
func wrongArrow(from, imported string) string {
	i := slices.IndexFunc(arrows, func(a arrow) bool { return fits(a.from, from) })
	if i < 0 {
		return fmt.Sprintf("%s has no place in the layout: say in imports_test.go what it may import.", from)
	}
	a := arrows[i]
	to, ours := short(imported)
	switch {
	case !ours && slices.ContainsFunc(a.never, func(n string) bool { return imported == n || strings.HasPrefix(imported, n+"/") }):
		return fmt.Sprintf("%s imports %s: %s.", from, imported, a.reason)
	case !ours:
		return ""
	case slices.Contains(onlyTests, to) && !slices.Contains(onlyTests, from):
		return fmt.Sprintf("%s imports %s: that is for tests only.", from, to)
	case !slices.ContainsFunc(a.to, func(p string) bool { return fits(p, to) }):
		return fmt.Sprintf("%s imports %s: %s.", from, to, a.reason)
	}
	return ""
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	list := listedPackages(t)
	if len(list) < 20 {
		t.Fatalf("go list names %d packages", len(list))
	}
	for _, p := range list {
		from, _ := short(p.ImportPath)
		for _, imported := range p.Imports {
			if wrong := wrongArrow(from, imported); wrong != "" {
				t.Error(wrong)
			}
		}
	}
}

func TestWrongArrowsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		wrong    bool
	}{
		{".", "scratchpaper/handlers", false},
		{"jobs", "scratchpaper/handlers", true},
		{"jobs", "scratchpaper/views", true},
		{"handlers", "scratchpaper/jobs", true},
		{"handlers", "scratchpaper/store", false},
		{"handlers", "scratchpaper/connectors/postgres", true},
		{"handlers", "github.com/jackc/pgx/v5", true},
		{"store", "net/http", true},
		{"store", "scratchpaper/connectors", true},
		{"views", "scratchpaper/store", true},
		{"connectors/airtable", "scratchpaper/connectors/postgres", true},
		{"connectors/airtable", "scratchpaper/store", true},
		{"connectors/airtable", "net/http", false},
		{"internal/core", "scratchpaper/internal/expr", true},
		{"internal/expr", "scratchpaper/store", true},
		{"store", "scratchpaper/internal/orgcheck", true},
		{"helpers", "fmt", true},
	} {
		if got := wrongArrow(c.from, c.to); (got != "") != c.wrong {
			t.Errorf("%s to %s: %q", c.from, c.to, got)
		}
	}
}

// TestTestsOpenTheStoreUnderTheTracer keeps the tracer of internal/orgcheck in front of every store that a test opens.
func TestTestsOpenTheStoreUnderTheTracer(t *testing.T) {
	t.Parallel()
	opened := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"node_modules", ".git", "bin"}, d.Name()) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		calls, err := storeConnects(file)
		for _, tracer := range calls {
			opened++
			if tracer != "orgcheck.Tracer" {
				t.Errorf("%s opens the store with %q: give it orgcheck.Tracer(t).", file, tracer)
			}
		}
		return err
	})
	if err != nil || opened < 5 {
		t.Errorf("%d places open the store: %v", opened, err)
	}
}

// storeConnects gives the last argument of each call of store.Connect in a file: the function that it calls, or its name.
func storeConnects(file string) (tracers []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && len(call.Args) == 4 && isStoreConnect(nameOf(call.Fun), path.Dir(filepath.ToSlash(file))) {
			tracers = append(tracers, nameOf(call.Args[3]))
		}
		return true
	})
	return tracers, nil
}

func isStoreConnect(name, folder string) bool {
	return name == "store.Connect" || name == "Connect" && folder == "store"
}

func nameOf(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.CompositeLit: // the tracer and another one
		if len(x.Elts) > 0 {
			return nameOf(x.Elts[0])
		}
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return nameOf(x.X) + "." + x.Sel.Name
	case *ast.CallExpr:
		return nameOf(x.Fun)
	}
	return "?"
}
