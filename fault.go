package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// anyPoint stands for every fault point.
const anyPoint = "any"

// faultPoint ends the process with SIGKILL the n-th time that it comes to a named point ("name:n"), or to any ("any:n"), for
// tests of durability. No setting: nil.
func faultPoint(setting string) func(string) {
	if setting == "" {
		return nil
	}
	name, times, _ := strings.Cut(setting, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil {
		n = 1
	}
	var met atomic.Int64
	return func(point string) {
		if point != name && name != anyPoint || met.Add(1) != n {
			return
		}
		p, _ := os.FindProcess(os.Getpid()) // always found on Unix
		_ = p.Kill()
		select {}
	}
}
