package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"scratchpaper/internal/core"
	"scratchpaper/internal/redistest"
)

// mustSessions is a store with a Redis for sessions.
func mustSessions(t *testing.T) (*Store, *miniredis.Miniredis) {
	t.Helper()
	m := redistest.InProcess(t)
	s := mustStore(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	s.sessions = rdb
	return s, m
}

func (s *Store) mustSignIn(t *testing.T, secret string) core.Actor {
	t.Helper()
	by, err := s.StartSession(t.Context(), core.LocalPerson, NewSession{Hash: []byte(secret), Lifetime: time.Hour, Address: "192.0.2.1", How: "password"})
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func (s *Store) signedIn(t *testing.T, secret string) bool {
	t.Helper()
	by, err := s.SessionActor(t.Context(), []byte(secret))
	if err != nil && core.CodeOf(err) != core.Unauthorized {
		t.Fatal(err)
	}
	return err == nil && by.Person == core.LocalPerson && by.Org == core.LocalOrg && by.Role == core.Admin && by.Session != ""
}

func TestAnEmptiedRedisSignsNobodyOut(t *testing.T) {
	t.Parallel()
	s, m := mustSessions(t)
	s.mustSignIn(t, "one")
	for range 2 {
		if !s.signedIn(t, "one") {
			t.Fatal("the session is not known")
		}
	}
	if len(m.Keys()) != 1 || strings.Contains(m.Keys()[0], "one") {
		t.Errorf("Redis keeps %v", m.Keys())
	}
	m.FlushAll()
	if !s.signedIn(t, "one") {
		t.Error("signed out by an emptied Redis")
	}
	m.Close()
	if !s.signedIn(t, "one") {
		t.Error("signed out by a Redis that is gone")
	}
	if s.signedIn(t, "another") {
		t.Error("a session that there is not lets in")
	}
}

// TestASessionThatEndedLetsNobodyIn reads the session's row before it ends and puts it into Redis only afterwards, as a request may that
// is under way meanwhile.
func TestASessionThatEndedLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s, m := mustSessions(t)
	by := s.mustSignIn(t, "one")
	s.signedIn(t, "one") // it stands in Redis
	if err := s.EndSession(t.Context(), by, by.Session); err != nil {
		t.Fatal(err)
	}
	if s.signedIn(t, "one") {
		t.Error("the session goes on")
	}
	late := s.sessions.SetNX(t.Context(), sessionKey([]byte("one")), `{"Org":"org_local","Person":"per_local","Role":5}`, keptSession)
	if late.Val() || s.signedIn(t, "one") {
		t.Error("a request that was under way lets the session go on")
	}
	if err := s.EndSession(t.Context(), by, by.Session); core.CodeOf(err) != core.NotFound {
		t.Errorf("ending it again gives %v", err)
	}
	m.FastForward(2 * keptSession)
	if s.signedIn(t, "one") {
		t.Error("the session goes on after a minute")
	}
}

func TestASessionEndsWithItsTimeAndWithoutUse(t *testing.T) {
	t.Parallel()
	s, _ := mustSessions(t)
	s.sessions = nil
	for _, sql := range []string{`update sessions set expires_at = now() where org_id = 'org_local'`, `update sessions set seen_at = now() - interval '15 days' where org_id = 'org_local'`,
		`update members set role = 'viewer' where org_id = 'org_local'`, `delete from members where org_id = 'org_local'`} {
		secret := fmt.Sprint(len(sql), sql)
		s.mustSignIn(t, secret)
		if !s.signedIn(t, secret) {
			t.Fatal("it is not known at first")
		}
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		if s.signedIn(t, secret) {
			t.Errorf("after %s the session is as before", sql)
		}
		if _, err := s.pool.Exec(t.Context(), `insert into members (org_id, person_id, role) values ('org_local', 'per_local', 'admin') on conflict (org_id, person_id) do update set role = 'admin'`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneOfTwoAdminsStays(t *testing.T) {
	t.Parallel()
	s, _ := mustSessions(t)
	if _, err := s.pool.Exec(t.Context(), `with p as (insert into people (id, name) values ('per_two', 'Two') returning id)
		insert into members (org_id, person_id, role) select 'org_local', id, 'admin' from p`); err != nil {
		t.Fatal(err)
	}
	one, two := core.Local(), core.Local()
	two.Person = "per_two"
	var wait sync.WaitGroup
	wait.Go(func() { _ = s.RemoveMember(t.Context(), one, two.Person) })
	wait.Go(func() { _ = s.ChangeRole(t.Context(), two, one.Person, core.Viewer) })
	wait.Wait()
	members, err := s.Members(t.Context(), one)
	admins := 0
	for _, m := range members {
		if m.Role == core.Admin {
			admins++
		}
	}
	if err != nil || admins != 1 {
		t.Errorf("there are %d admins among %v, %v", admins, members, err)
	}
}

func TestTheFirstAccountIsMadeOnceByHoweverMany(t *testing.T) {
	t.Parallel()
	s, _ := mustSessions(t)
	made := make(chan bool, 4)
	for i := range 4 {
		if err := s.SetUpCode(t.Context(), fmt.Append(nil, "code", i)); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			_, err := s.SetUp(t.Context(), fmt.Append(nil, "code", i), FirstAccount{Name: "Ana", Email: fmt.Sprintf("ana%d@example.org", i), Organization: "Kettles", Password: "hash"})
			made <- err == nil
		})
	}
	wait.Wait()
	close(made)
	n := 0
	for ok := range made {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d first accounts were made", n)
	}
}

func TestTheAuditLogIsKept(t *testing.T) {
	t.Parallel()
	s, _ := mustSessions(t)
	s.mustSignIn(t, "one")
	for _, sql := range []string{`update audit_log set who = 'x' where org_id = 'org_local'`, `delete from audit_log where org_id = 'org_local'`} {
		if _, err := s.pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s gives %v", sql, err)
		}
	}
	var act, address, details string
	if err := s.pool.QueryRow(t.Context(), `select act, address, details::text from audit_log where org_id = 'org_local'`).Scan(&act, &address, &details); err != nil || act != "signed in" || address != "192.0.2.1" || details != `{"how": "password"}` {
		t.Errorf("the log says %s %s %s, %v", act, address, details, err)
	}
}
