package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

func settings() []connectors.Setting {
	return []connectors.Setting{
		{Key: "host", Label: "Host", Help: "Name or address of the server, without https:// and without the port.", Kind: "text", Required: true, Check: checkHost},
		{Key: "port", Label: "Port", Help: "Usually 5432; a pooler often has 6432.", Kind: "number", Default: "5432", Check: checkPort},
		{Key: "database", Label: "Database", Help: "Name of the database on that server.", Kind: "text", Required: true, Check: checkPlain},
		{Key: "user", Label: "User", Help: "A login that may read, and write if you want to publish, the tables you choose.", Kind: "text", Required: true, Check: checkPlain},
		{Key: "password", Label: "Password", Help: "The login's password.", Kind: "password", Secret: true, Check: checkPlain},
		{Key: "sslmode", Label: "Encryption", Help: "verify-full checks the server's name and certificate; require only encrypts; disable sends everything in the clear.", Kind: "choice", Default: "verify-full", Choices: []string{"verify-full", "require", "disable"}, Check: checkSSLMode},
		{Key: "ca", Label: "Certificate authority", Help: "The authority's certificate as text (PEM), when the server's is not from a public one.", Kind: "longtext", Check: checkCA},
	}
}

func checkHost(v string) error {
	switch {
	case v == "":
		return core.Errorf(core.Invalid, "Fill in the host, such as db.example.org.")
	case strings.HasPrefix(v, "/") || strings.HasPrefix(v, "@"):
		return core.Errorf(core.Invalid, "Sockets are not taken; give the name or address of a server.")
	case strings.ContainsAny(v, "/ ,@?\x00\n\t"):
		return core.Errorf(core.Invalid, "Give only the name or address of one server, such as db.example.org.")
	}
	return nil
}

func checkPort(v string) error {
	if n, err := strconv.Atoi(v); v != "" && (err != nil || n < 1 || n > 65535) {
		return core.Errorf(core.Invalid, "A port is a number from 1 to 65535.")
	}
	return nil
}

func checkPlain(v string) error {
	if strings.ContainsRune(v, 0) {
		return core.Errorf(core.Invalid, "The NUL character is not taken.")
	}
	return nil
}

func checkSSLMode(v string) error {
	switch v {
	case "", "disable", "require", "verify-full":
		return nil
	}
	return core.Errorf(core.Invalid, "Choose verify-full, require or disable.")
}

func checkCA(v string) error {
	if v = strings.TrimSpace(v); v != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(v)) {
		return core.Errorf(core.Invalid, "This is not a certificate in PEM form (-----BEGIN CERTIFICATE-----).")
	}
	return nil
}

// check looks at all settings; the first that does not fit is a Fault with its key.
func check(given connectors.Settings) error {
	for _, setting := range settings() {
		v := given[setting.Key]
		err := setting.Check(v)
		if err == nil && setting.Required && v == "" {
			err = core.Errorf(core.Invalid, "%s is missing.", setting.Label)
		}
		if err != nil {
			return &connectors.Fault{Kind: connectors.RefusedValue, Field: setting.Key, Words: core.SentenceOf(err)}
		}
	}
	return nil
}

// poolConfig builds the configuration field by field. What the driver takes from the program's environment (PGUSER,
// PGPASSWORD, password and service files, …) is overwritten or dropped, and no setting is ever parsed as an address.
func poolConfig(given connectors.Settings, env connectors.Environment) (*pgxpool.Config, error) {
	if err := check(given); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig("host=unset port=5432 user=unset dbname=unset sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: "The program's own environment holds PG… variables that cannot be read.", Cause: err}
	}
	port, _ := strconv.ParseUint(orDefault(given["port"], "5432"), 10, 16)
	tlsConfig, err := tlsFor(given)
	if err != nil {
		return nil, err
	}
	c := &config.ConnConfig.Config
	c.Host, c.Port = given["host"], uint16(port)
	c.Database, c.User, c.Password = given["database"], given["user"], given["password"]
	c.TLSConfig, c.Fallbacks, c.SSLNegotiation, c.SSLCertMode = tlsConfig, nil, "", "disable"
	c.KerberosSrvName, c.KerberosSpn, c.RequireAuth, c.ChannelBinding = "", "", "", ""
	c.MinProtocolVersion, c.MaxProtocolVersion = "3.0", "3.0"
	c.ValidateConnect, c.AfterConnect, c.OnNotice = nil, nil, nil
	c.ConnectTimeout = 15 * time.Second
	// Only parameters that every pooler lets through; the others are set in each transaction.
	c.RuntimeParams = map[string]string{"application_name": "scratchpaper", "client_encoding": "UTF8"}
	c.DialFunc = env.Dial
	if c.DialFunc == nil {
		c.DialFunc = (&net.Dialer{}).DialContext
	}
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // names are Dial's affair
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	config.ConnConfig.StatementCacheCapacity, config.ConnConfig.DescriptionCacheCapacity = 0, 0
	config.MaxConns, config.MinConns, config.MinIdleConns = maxConns, 0, 0
	config.MaxConnIdleTime, config.MaxConnLifetime = time.Minute, 10*time.Minute
	config.PingTimeout = 5 * time.Second
	return config, nil
}

// tlsFor gives nil for "disable". "require" encrypts and, when an authority is given, checks the certificate but not the
// name, as libpq does; "verify-full" checks both.
func tlsFor(given connectors.Settings) (*tls.Config, error) {
	mode := orDefault(given["sslmode"], "verify-full")
	if mode == "disable" {
		return nil, nil
	}
	config := &tls.Config{ServerName: given["host"], MinVersion: tls.VersionTLS12}
	if ca := strings.TrimSpace(given["ca"]); ca != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(ca)) // was tried by check
	}
	if mode == "require" {
		config.InsecureSkipVerify = true // #nosec G402 -- sslmode require, as libpq has it: encrypted, and whoever chooses it is told that nobody is verified
		if config.RootCAs != nil {
			config.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, config.RootCAs) }
		}
	}
	return config, nil
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

func orDefault(v, fallback string) string {
	if v == "" {
		return fallback
	}
	return v
}
