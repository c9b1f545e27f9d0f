package bench

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// figure is one line of the table.
type figure struct {
	work    string
	took    string
	limit   string // what it may take, and why
	ratio   float64
	at      float64 // the most that the ratio may be
	memory  float64 // MB more than idle
	comment string
}

var figures struct {
	mu   sync.Mutex
	list []figure
}

// mostMemory is how much more than idle the app may hold during each work, in MB.
const mostMemory = 150

// compared notes a work that may take some times as long as bare work in the same run.
func compared(b *testing.B, work string, took, bare time.Duration, at float64, memory float64, comment string) {
	b.Helper()
	ratio := took.Seconds() / bare.Seconds()
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(at, "at-most")
	b.ReportMetric(bare.Seconds(), "bare-s")
	b.ReportMetric(memory, "MB-more")
	note(figure{work: work, took: seconds(took), limit: fmt.Sprintf("%g × %s", at, seconds(bare)), ratio: ratio, at: at, memory: memory, comment: comment})
}

// measured notes a work with a fixed limit.
func measured(b *testing.B, work string, took, limit float64, unit string, memory float64, comment string) {
	b.Helper()
	b.ReportMetric(took/limit, "ratio")
	b.ReportMetric(took, unit)
	note(figure{work: work, took: fmt.Sprintf("%.4g %s", took, unit), limit: fmt.Sprintf("%g %s", limit, unit), ratio: took / limit, at: 1, memory: memory, comment: comment})
}

func note(f figure) {
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.list = append(figures.list, f)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3g s", d.Seconds()) }

// printFigures prints the table as docs/benchmarks.md has it.
func printFigures() {
	if len(figures.list) == 0 {
		return
	}
	fmt.Printf("\n%d rows × %d columns; %s; load %s before, %s after\n\n", rows(), columns, machine(), loadBefore, load())
	fmt.Println("| work | took | at most | ratio | of | memory more than idle |  |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, f := range figures.list {
		memory, missed := "", ""
		if f.memory > 0 {
			memory = fmt.Sprintf("%.0f MB", f.memory)
		}
		if f.ratio > f.at || f.memory > mostMemory {
			missed = "missed"
		}
		fmt.Printf("| %s | %s | %s | %.2f | %g | %s | %s |\n", f.work, f.took, f.limit, f.ratio, f.at, memory, strings.TrimSpace(missed+" "+f.comment))
	}
	fmt.Println()
}

var loadBefore = load()

func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(raw)); len(f) > 0 {
		return f[0]
	}
	return "unknown"
}

// machine says what the figures are of.
func machine() string {
	raw, _ := os.ReadFile("/proc/cpuinfo")
	model, n := "", 0
	for _, line := range strings.Split(string(raw), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model, n = strings.TrimSpace(value), n+1
		}
	}
	return fmt.Sprintf("%d × %s", n, model)
}
