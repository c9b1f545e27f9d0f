package orgcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// T is what the tracer needs of a test.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Cleanup(func())
}

// Tracer fails the test, and the statement, when one does not name the organization: see Check. ended is told of each statement
// that is through.
func Tracer(t T, ended ...func(pgx.TraceQueryEndData)) *Guard {
	g := &Guard{t: t, ended: ended}
	t.Cleanup(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.over = true
	})
	return g
}

// Guard is pgx's tracer of statements, batches and copies.
type Guard struct {
	t    T
	mu   sync.Mutex
	over bool // the test has ended: it takes no more errors

	ended []func(pgx.TraceQueryEndData)
}

var errNoOrganization = errors.New("a statement on a control table does not name the organization")

// refuse reports what is wrong and gives a context that is over, so that the statement does not run.
func (g *Guard) refuse(ctx context.Context, sql string, err error) context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.t.Errorf("%v: %s", err, short(sql))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(errNoOrganization)
	return ctx
}

func (g *Guard) check(ctx context.Context, sql string) context.Context {
	if err := Check(sql); err != nil {
		return g.refuse(ctx, sql, err)
	}
	return ctx
}

// TraceQueryStart checks a statement.
func (g *Guard) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return g.check(ctx, data.SQL)
}

// TraceQueryEnd tells of a statement that is through.
func (g *Guard) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	for _, told := range g.ended {
		told(data)
	}
}

// TraceBatchStart checks the statements of a batch.
func (g *Guard) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		ctx = g.check(ctx, q.SQL)
	}
	return ctx
}

// TraceBatchQuery does nothing.
func (g *Guard) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd does nothing.
func (g *Guard) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart checks where a copy goes.
func (g *Guard) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	name := data.TableName
	if len(name) == 2 && name[0] != "public" || !slices.Contains(Tables, name[len(name)-1]) || slices.Contains(data.ColumnNames, "org_id") {
		return ctx
	}
	return g.refuse(ctx, "copy "+strings.Join(name, "."), fmt.Errorf("%s gets rows without org_id among the columns", name[len(name)-1]))
}

// TraceCopyFromEnd does nothing.
func (g *Guard) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}
