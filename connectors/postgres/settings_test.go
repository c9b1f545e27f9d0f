package postgres_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
)

func TestSettingsThatDoNotFitAreNamed(t *testing.T) {
	t.Parallel()
	good := connectors.Settings{"host": "db.example.org", "database": "d", "user": "u", "password": "p"}
	for key, bad := range map[string]string{"host": "/var/run/postgresql", "port": "70000", "database": "", "user": "", "sslmode": "prefer", "ca": "no certificate"} {
		settings := connectors.Settings{}
		for k, v := range good {
			settings[k] = v
		}
		settings[key] = bad
		_, err := postgres.New().Open(t.Context(), settings, connectors.Environment{})
		if err == nil {
			t.Errorf("%s = %q is taken", key, bad)
			continue
		}
		if f := faultOf(t, err); f.Kind != connectors.RefusedValue || f.Field != key || f.Words == "" {
			t.Errorf("%s: %+v", key, f)
		}
	}
}

func TestOnlyTheGivenAddressIsDialled(t *testing.T) {
	for k, v := range map[string]string{"PGHOST": "/tmp", "PGPORT": "1", "PGUSER": "operator", "PGPASSWORD": "the operator's", "PGDATABASE": "theirs", "PGSSLMODE": "prefer", "PGOPTIONS": "-c x=y", "PGAPPNAME": "z"} {
		t.Setenv(k, v)
	}
	var dialled []string
	env := connectors.Environment{Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		dialled = append(dialled, network+" "+address)
		return nil, net.ErrClosed
	}}
	s, err := postgres.New().Open(t.Context(), connectors.Settings{"host": "db.invalid", "database": "d", "user": "u", "sslmode": "disable"}, env)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := faultOf(t, s.Test(t.Context()))
	if f.Kind != connectors.Unavailable || !f.Unsent || strings.Contains(f.Error(), "operator") {
		t.Errorf("%+v", f)
	}
	for _, d := range dialled {
		if d != "tcp db.invalid:5432" {
			t.Errorf("dialled %s", d)
		}
	}
	if len(dialled) == 0 {
		t.Error("nothing was dialled")
	}
}

func TestAServerWithoutEncryptionIsRefusedUnlessAsked(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	for _, mode := range []string{"require", "verify-full", ""} {
		settings := connectors.Settings{}
		for k, v := range d.settings {
			settings[k] = v
		}
		settings["sslmode"] = mode
		if f := faultOf(t, d.open(settings).Test(t.Context())); f.Kind != connectors.Unavailable {
			t.Errorf("%q: %+v", mode, f)
		}
	}
}
