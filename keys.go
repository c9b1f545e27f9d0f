package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// settledAfter is how long a key has to have sealed nothing before it is dropped: a process knows within half a minute which key seals, and no
// transaction lasts longer than five.
const settledAfter = 10 * time.Minute

// changeKeys lists the keys that credentials are encrypted with, puts a new one in their place, or drops those that are not used any more.
func changeKeys(ctx context.Context, cfg config.Config, log *slog.Logger, args []string) error {
	act := map[string]func(context.Context, *pgxpool.Pool) error{"list": listKeys, "retire": retireKeys}
	if len(args) != 1 || args[0] != "rotate" && act[args[0]] == nil {
		return core.Errorf(core.Invalid, "Say what to do with the keys of credentials: scratchpaper keys list, keys rotate or keys retire.")
	}
	a := newApp(cfg, log)
	defer a.close()
	databaseURL, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, databaseURL, 2, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	if args[0] == "rotate" {
		return a.rotateKeys(ctx, pool)
	}
	return act[args[0]](ctx, pool)
}

// rotateKeys seals everything anew with a new key.
func (a *app) rotateKeys(ctx context.Context, pool *pgxpool.Pool) error {
	box, _, err := a.openKeys(ctx, pool)
	if err != nil {
		return err
	}
	fault := a.fault
	if fault == nil {
		fault = func(string) {}
	}
	done, err := store.RotateKeys(ctx, pool, box, fault)
	if err != nil {
		return err
	}
	if done.Rewrapped > 0 {
		fmt.Fprintf(os.Stderr, "%d keys are opened by the operator's new key from now on; the one before it can be left out everywhere.\n", done.Rewrapped)
	}
	how := "A rotation that was cut short is brought to its end: %d credentials and signing keys were encrypted anew with key %d. Type it again for another new key.\n"
	if done.Made {
		how = "%d credentials and signing keys are encrypted with a new key, %d. The keys before it still read; scratchpaper keys retire drops them.\n"
	}
	fmt.Fprintf(os.Stderr, how, done.Sealed, done.Key)
	if len(done.Unreadable) > 0 {
		return core.Errorf(core.Unavailable, "No key opens these, so they stay as they are: %s. Type them anew.", strings.Join(done.Unreadable, ", "))
	}
	return nil
}

// retireKeys drops keys.
func retireKeys(ctx context.Context, pool *pgxpool.Pool) error {
	dropped, kept, err := store.RetireKeys(ctx, pool, settledAfter)
	if err != nil {
		return err
	}
	for _, k := range dropped {
		fmt.Fprintf(os.Stderr, "Key %d is dropped: nothing is encrypted with it.\n", k.ID)
	}
	if len(kept) > 0 {
		k := kept[0]
		if k.Uses > 0 {
			return core.Errorf(core.Conflict, "Key %d stays: %d credentials or signing keys are encrypted with it. Type scratchpaper keys rotate, which encrypts them anew.", k.ID, k.Uses)
		}
		return core.Errorf(core.Conflict, "Key %d stays: another took its place less than %v ago, and a process may not know yet. Try again later.", k.ID, settledAfter)
	}
	if len(dropped) == 0 {
		fmt.Fprintln(os.Stderr, "There is no key to drop.")
	}
	return nil
}

func listKeys(ctx context.Context, pool *pgxpool.Pool) error {
	keys, others, err := store.SecretKeys(ctx, pool)
	if err != nil {
		return err
	}
	printKeys(os.Stdout, keys, others)
	return nil
}

// printKeys writes the keys as a table.
func printKeys(to io.Writer, keys []store.SecretKey, others int64) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "KEY\tMADE\tDOES\tENCRYPTS")
	for _, k := range keys {
		does := "encrypts"
		if k.ReplacedAt != nil {
			does = "reads, until it is retired"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\n", k.ID, k.MadeAt.UTC().Format(time.RFC3339), does, k.Uses)
	}
	if others > 0 || len(keys) == 0 {
		fmt.Fprintf(w, "the operator's own\t\t%s\t%d\n", map[bool]string{true: "encrypts", false: "reads"}[len(keys) == 0], others)
	}
}
