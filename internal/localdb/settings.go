package localdb

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	settingsFile = "scratchpaper.conf"
	mb           = 1 << 20
)

// writeSettings writes the settings and the access rules of every start into the cluster. What a person adds to
// postgresql.conf below the include line wins.
func writeSettings(p place, o Options, bin string) error {
	conf := filepath.Join(p.cluster(), "postgresql.conf")
	old, err := os.ReadFile(conf) // #nosec G304 -- a file of the data folder, or of PostgreSQL's programs
	if err != nil {
		return err
	}
	include := "include_if_exists = '" + settingsFile + "'\n"
	if !strings.Contains(string(old), include) {
		if err := p.writeFile("postgresql.conf", string(old)+"\n"+include); err != nil {
			return err
		}
	}
	if err := p.writeFile(settingsFile, settings(machineMemory(), shmSize(), o.Fast)+accountOf(bin, o.Fast)); err != nil {
		return err
	}
	return p.writeFile("pg_hba.conf", accessRules(o.OpenTCP))
}

func (p place) writeFile(name, text string) error {
	path := filepath.Join(p.cluster(), name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil { // #nosec G703 -- a file of the data folder
		return err
	}
	if err := p.give(path + ".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// settings chooses by the machine's memory in bytes; shm is the size of /dev/shm in bytes, 0 when there is none.
func settings(memory, shm uint64, fast bool) string {
	sync, buffers := "on", clamp(memory/8, 64*mb, 1024*mb)
	if fast {
		sync, buffers = "off", 32*mb
	}
	lines := []string{
		"# Written by Scratchpaper at every start. Put settings of your own into postgresql.conf, below the include line.",
		"shared_buffers = " + inMB(buffers),
		"effective_cache_size = " + inMB(clamp(memory/2, 128*mb, 1<<40)),
		"work_mem = " + inMB(clamp(memory/512, 4*mb, 32*mb)),
		"maintenance_work_mem = " + inMB(clamp(memory/32, 64*mb, 512*mb)),
		"max_connections = 200",
		"max_wal_size = 1GB",
		"jit = off",
		"fsync = " + sync,
		"synchronous_commit = " + sync,
		"full_page_writes = " + sync,
		"unix_socket_permissions = 0700",
		"password_encryption = scram-sha-256",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'",
		"log_checkpoints = off",
		"log_min_error_statement = panic", // statements hold people's data, and a role's password
		"logging_collector = off",
		"log_destination = 'stderr'",
	}
	// Parallel queries keep their tables there; containers often have 64 MB.
	if shm < 512*mb {
		lines = append(lines, "dynamic_shared_memory_type = mmap")
	}
	return strings.Join(lines, "\n") + "\n"
}

// statementsModule keeps account of statements, for the operator's page.
const statementsModule = "pg_stat_statements"

// accountOf loads the module that keeps account of statements, where the programs come with it: a server that is to load what is not there
// does not start.
func accountOf(bin string, fast bool) string {
	_, err := os.Stat(filepath.Join(filepath.Dir(bin), "lib", "postgresql", statementsModule+".so"))
	if err != nil || fast {
		return ""
	}
	return "shared_preload_libraries = '" + statementsModule + "'\npg_stat_statements.max = 1000\npg_stat_statements.track_utility = off\n"
}

// accessRules let the app's role in over the socket and the sample's role into the sample's database over TCP.
func accessRules(openTCP bool) string {
	rules := []string{
		"# Written by Scratchpaper at every start.",
		"local all    " + appRole + " scram-sha-256",
		"host  sample sample " + loopback + "/32 scram-sha-256",
	}
	if openTCP {
		rules = append(rules, "host all all "+loopback+"/32 scram-sha-256")
	}
	return strings.Join(append(rules, "local all all reject", "host all all all reject"), "\n") + "\n"
}

func clamp(n, low, high uint64) uint64 { return min(max(n, low), high) }

func inMB(n uint64) string { return fmt.Sprintf("%dMB", n/mb) }

// shmSize is the size of /dev/shm in bytes, 0 when there is none.
func shmSize() uint64 {
	var st unix.Statfs_t
	if unix.Statfs("/dev/shm", &st) != nil {
		return 0
	}
	return uint64(st.Blocks) * uint64(st.Bsize) // #nosec G115 -- a disk has no negative size
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
