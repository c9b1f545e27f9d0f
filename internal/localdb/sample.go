package localdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const sampleName = "sample"

// SampleRole is how the sample's connection signs in. Host and Port hold for this run of the server only.
type SampleRole struct {
	Host     string
	Port     int
	Database string
	User     string
	Password string
}

// EnsureSample makes the role and the database "sample", unless they are there, and gives the role's login. The
// password lies in a file of mode 600 in the data folder. It may be called any number of times. Code: Unavailable.
func (s *Server) EnsureSample(ctx context.Context) (SampleRole, error) {
	s.sample.Lock()
	defer s.sample.Unlock()
	password, err := readOrMakePassword(s.place.path("sample-password"), false)
	if err != nil {
		return SampleRole{}, err
	}
	if err := s.ensureRole(ctx, sampleName, password); err != nil {
		return SampleRole{}, unavailable(err, "The sample's role could not be made.")
	}
	if err := s.ensureDatabase(ctx, sampleName, sampleName); err != nil {
		return SampleRole{}, unavailable(err, "The sample's database could not be made.")
	}
	return SampleRole{Host: loopback, Port: s.port, Database: sampleName, User: sampleName, Password: password}, nil
}

// ensureRole makes a role that can sign in and nothing else, or gives it this password again.
func (s *Server) ensureRole(ctx context.Context, name, password string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var sql string
	err = conn.QueryRow(ctx, `
		select format('%s role %I with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password %L',
			case when exists (select 1 from pg_roles where rolname = $1) then 'alter' else 'create' end, $1::text, $2::text)`,
		name, password).Scan(&sql)
	if err == nil {
		_, err = conn.Exec(ctx, sql)
	}
	return err
}
