package views

import (
	"context"
	"slices"

	"scratchpaper/internal/core"
)

type actorKey struct{}

// WithActor gives a context in which components know who looks at them.
func WithActor(ctx context.Context, by core.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, by)
}

type switchesKey struct{}

// WithSwitches gives a context in which components know what is switched off for who looks at them.
func WithSwitches(ctx context.Context, off []core.Switch) context.Context {
	return context.WithValue(ctx, switchesKey{}, off)
}

// on says whether something is not switched off, so that nothing is offered that would be refused.
func on(ctx context.Context, sw core.Switch) bool {
	off, _ := ctx.Value(switchesKey{}).([]core.Switch)
	return !slices.Contains(off, sw)
}

// may says whether who looks may do an act, so that nothing is offered that would be refused. Where nobody is known everything is shown: in
// the gallery, and in tests of components.
func may(ctx context.Context, act core.Act) bool {
	by, known := ctx.Value(actorKey{}).(core.Actor)
	return !known || by.May(act) == nil
}
