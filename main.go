// Scratchpaper is a self-hosted web app for changing a lot of content, safely, in services that only let you change it one
// record at a time.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules have zones, also where the machine knows none

	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
)

const usage = `Usage: scratchpaper [command]

  serve     the web app with its workers (default)
  worker    workers only; needs DATABASE_URL and REDIS_URL
  migrate   bring the database up to date and stop
  sample    make the sample database and stop
  backup    [-snapshot ID] FILE: write everything, or one snapshot, into a file and stop
  restore   [-organization ID] [-without-credentials] FILE: bring a backup in and stop
  keys      list | rotate | retire: the keys that credentials are encrypted with
  second-factor EMAIL: take the second factor off an account whose person has lost it, and sign them out
  health    end with 0 when the process with these settings is well (PORT, or WATCH_ADDRESS of a worker)
  rotate    sign agents' tokens with a new key from now on and stop; those that are out are taken as long as they last

Settings come from the environment or a .env file; .env.example explains them.
`

func main() {
	command := "serve"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	run := map[string]action{"serve": serve, "worker": work, "migrate": migrate, "sample": makeSample, "rotate": rotate, "health": health}[command]
	if withFile := map[string]func(context.Context, config.Config, *slog.Logger, []string) error{"backup": backUp, "restore": restore, "keys": changeKeys, "second-factor": takeOffFactor}[command]; withFile != nil {
		run = func(ctx context.Context, cfg config.Config, log *slog.Logger) error {
			return withFile(ctx, cfg, log, os.Args[2:])
		}
	} else if run == nil || len(os.Args) > 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := start(run); err != nil {
		fmt.Fprintln(os.Stderr, "scratchpaper: "+core.SentenceOf(err))
		if core.CodeOf(err) == core.Internal || os.Getenv("LOG_LEVEL") == "debug" {
			fmt.Fprintln(os.Stderr, "scratchpaper:", err)
		}
		os.Exit(1)
	}
}

// action is what a command does, until its context ends.
type action func(ctx context.Context, cfg config.Config, log *slog.Logger) error

func start(run action) error {
	for _, said := range config.Misspelt(os.Environ()) {
		fmt.Fprintln(os.Stderr, "scratchpaper: "+said)
	}
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log := newLogger(cfg)
	slog.SetDefault(log)
	redis.SetLogger(redisLog{log})
	if err := run(ctx, cfg, log); ctx.Err() == nil {
		return err
	}
	return nil // it was told to stop; what was cut short by that is no failure
}

func newLogger(cfg config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.ToUpper(cfg.LogLevel))) // Validate has looked at it
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(os.Stderr, opts)
	if cfg.LogFormat == "json" {
		h = slog.NewJSONHandler(os.Stderr, opts)
	}
	return slog.New(withIDs{h})
}

// withIDs puts request, person, job and snapshot into each log line, where they are known.
type withIDs struct{ slog.Handler }

// Handle adds the ids of the line's context.
func (w withIDs) Handle(ctx context.Context, r slog.Record) error {
	ids := core.LogIDsOf(ctx)
	for _, a := range []struct{ name, id string }{{"request", ids.Request}, {"person", ids.Person}, {"job", ids.Job}, {"snapshot", ids.Snapshot}} {
		if a.id != "" {
			r.AddAttrs(slog.String(a.name, a.id))
		}
	}
	return w.Handler.Handle(ctx, r)
}

// WithAttrs keeps the ids.
func (w withIDs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withIDs{w.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the ids.
func (w withIDs) WithGroup(name string) slog.Handler { return withIDs{w.Handler.WithGroup(name)} }
