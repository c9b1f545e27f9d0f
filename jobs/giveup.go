package jobs

import (
	"encoding/json"
	"fmt"
)

// endPublish closes the plan of a publish that failed: what was being sent when it broke off is unknown, not lost, and the
// rest stays planned for a retry.
func endPublish(run *Run) error {
	var args publishArgs
	if err := json.Unmarshal(run.Job.Args, &args); err != nil {
		return fmt.Errorf("job args: %w", err)
	}
	if run.Snapshot.ID == "" {
		return nil // it is gone, with its plans
	}
	return run.o.Store.EndPlan(run.ctx, run.Job, run.Snapshot, args.Plan)
}
