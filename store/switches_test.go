package store

import (
	"testing"
	"time"

	"scratchpaper/internal/core"
)

func TestNothingRunsByItselfThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	k := mustKettles(t, 3)
	due(t, k, time.Hour)
	mustHook(t, k.Store, k.by)
	mustEnd(t, k.Store, k.by, "refresh", JobEnd{State: "done"})
	if err := k.SetSwitches(t.Context(), k.by, k.by.Org, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := k.StartDue(t.Context()); err != nil || n != 0 {
		t.Errorf("%d refreshes began, %v", n, err)
	}
	if list, err := k.ClaimDeliveries(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("%d webhooks are told, %v", len(list), err)
	}
	if err := k.SetSwitches(t.Context(), k.by, k.by.Org, []core.Switch{core.SwitchSchedules, core.SwitchWebhooks}); err != nil {
		t.Fatal(err)
	}
	if n, err := k.StartDue(t.Context()); err != nil || n != 1 {
		t.Errorf("%d refreshes began, %v", n, err)
	}
	if list, err := k.ClaimDeliveries(t.Context(), 10); err != nil || len(list) != 1 {
		t.Errorf("%d webhooks are told, %v", len(list), err)
	}
	by := k.by
	by.Operator = false
	if err := k.SetSwitches(t.Context(), by, by.Org, nil); core.CodeOf(err) != core.Forbidden {
		t.Errorf("an admin: %v", err)
	}
	if _, err := k.AllOrganizations(t.Context(), by, 0, 10); core.CodeOf(err) != core.Forbidden {
		t.Errorf("an admin: %v", err)
	}
}
