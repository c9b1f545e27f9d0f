package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

// mustLimited is a house whose people and addresses make few requests; rdb counts them.
func mustLimited(t *testing.T, rdb redis.UniversalClient, perPerson, perAddress int) *house {
	t.Helper()
	h := &house{}
	h.site = mustSiteWith(t, func(s *site, d *Deps) {
		h.in = cheapSignIn(s)
		d.SignIn, d.AgentKeys = h.in, AgentKeys(s.store)
		d.Identify = append(Programs(s.store, d.AgentKeys), auth.Session{Cookie: h.in.Cookie, Find: s.store.SessionActor}).Identify
		if rdb == nil {
			rdb = s.rdb
		}
		d.Requests = NewRequestLimits(auth.NewLimits(rdb), perPerson, perAddress)
	})
	return h
}

// TestTooManyRequestsOfAPersonAreRefusedAndOthersAreNot counts by person and by address, with what to do and when.
func TestTooManyRequestsOfAPersonAreRefusedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	h := mustLimited(t, nil, 20, 0)
	ana := h.mustSetUp(t)
	ben := ana.mustJoin(t, "ben@example.org", "editor")
	var last answer
	for range 25 {
		last = ana.get(t, "/jobs")
	}
	last.is(t, http.StatusTooManyRequests, "more requests than one person or token", "Try again in")
	if n, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
		t.Errorf("Retry-After is %q", last.header.Get("Retry-After"))
	}
	problem := ana.json(t, "GET", "/jobs", "")
	problem.is(t, http.StatusTooManyRequests, `"status":429`, "Try again in")
	ben.get(t, "/jobs").is(t, 200)
	h.visitor(t).get(t, "/healthz").is(t, 200)
}

func TestTooManyRequestsFromAnAddressAreRefusedBeforeASignIn(t *testing.T) {
	t.Parallel()
	h := mustLimited(t, nil, 0, 5)
	v := h.visitor(t)
	for range 5 {
		v.get(t, "/sign-in").is(t, 200)
	}
	v.get(t, "/sign-in").is(t, http.StatusTooManyRequests, "from one address")
	v.get(t, "/healthz").is(t, 200)
	v.get(t, h.app.assets.base()+"/css/app.css").is(t, 200)
}

// TestLimitsCountHereWhileRedisIsGone asks with a Redis that does not answer: nobody waits for it, and the limit holds in this process.
func TestLimitsCountHereWhileRedisIsGone(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: 5, DialTimeout: 5 * time.Second})
	t.Cleanup(func() { _ = gone.Close() })
	h := mustLimited(t, gone, 0, 5)
	v := h.visitor(t)
	began := time.Now()
	for range 5 {
		v.get(t, "/sign-in").is(t, 200)
	}
	v.get(t, "/sign-in").is(t, http.StatusTooManyRequests)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("six requests wait %s for a Redis that is gone", took)
	}
}

// TestAnOrganizationHasAsManyJobsAndRecordsAsItMay looks at the limits of what one organization takes up.
func TestAnOrganizationHasAsManyJobsAndRecordsAsItMay(t *testing.T) {
	t.Parallel()
	s := mustSite(t)
	limited := store.New(store.Options{Pool: s.store.Pool(), Limits: store.Limits{Jobs: 2, Records: 5}})
	boats := s.mustShop(t, s.by, "Boats", 4)
	s.mustOrganization(t, "other")
	ref := store.TableRef{Snapshot: boats.snapshot.ID, Table: boats.table.ID}
	add := func() error {
		made := store.NewRecord{Values: map[int]core.Value{boats.table.Columns[0].Number: core.TextValue("Raft")}}
		_, err := limited.ApplyChanges(t.Context(), s.by, ref, store.Changes{Creates: []store.NewRecord{made}}, store.ChangeOptions{})
		return err
	}
	if err := add(); err != nil {
		t.Fatalf("the fifth record: %v", err)
	}
	if err := add(); core.CodeOf(err) != core.Conflict || !strings.Contains(core.SentenceOf(err), "5 records") {
		t.Errorf("the sixth record: %v", err)
	}
	if n := field(s.call(t, "GET", boats.path, "", 200), "counts", "records"); n != 5.0 {
		t.Errorf("there are %v records", n)
	}
	enqueue := func(by core.Actor) error {
		_, err := limited.Enqueue(t.Context(), by, store.NewJob{Kind: "refresh", Label: "x"})
		return err
	}
	for range 2 {
		if err := enqueue(s.by); err != nil {
			t.Fatal(err)
		}
	}
	if err := enqueue(s.by); core.CodeOf(err) != core.TooMany {
		t.Errorf("a third job: %v", err)
	}
	if err := enqueue(core.Actor{Org: "org_other", Person: "per_other", Kind: core.KindPerson, Role: core.Admin}); err != nil {
		t.Errorf("another organization's job: %v", err)
	}
	if err := enqueue(core.System(s.by.Org)); err != nil {
		t.Errorf("a job of the program's own: %v", err)
	}
}
