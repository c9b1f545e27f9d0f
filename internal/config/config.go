// Package config is the program's settings: one struct, checked once at the start.
package config

import (
	"bufio"
	"cmp"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"scratchpaper/internal/core"
)

// Config is every setting. The comments are the explanations of .env.example.
type Config struct {
	// PORT is the port that the app listens on.
	Port int `env:"PORT" envDefault:"3010"`
	// HOST is the address that the app listens on. Without SIGN_IN only a loopback address is taken.
	Host string `env:"HOST" envDefault:"127.0.0.1"`
	// BASE_URL is where people open the app, as in https://scratchpaper.example.org. Empty: http, HOST and PORT.
	BaseURL string `env:"BASE_URL"`
	// SIGN_IN is passwords, for accounts kept here, or clerk. Empty: Clerk with its keys, else one person on a loopback address.
	SignIn string `env:"SIGN_IN"`
	// CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY are those of an application at Clerk. Empty: people do not sign in there.
	ClerkPublishableKey string `env:"CLERK_PUBLISHABLE_KEY"`
	// CLERK_SECRET_KEY is the other of the two.
	ClerkSecretKey string `env:"CLERK_SECRET_KEY"`
	// CLERK_WEBHOOK_SECRET is the signing secret of the webhooks to /webhooks/clerk. Empty: none are taken.
	ClerkWebhookSecret string `env:"CLERK_WEBHOOK_SECRET"`
	// CLERK_API_URL is the address of Clerk's Backend API. Empty: Clerk's own.
	ClerkAPIURL string `env:"CLERK_API_URL"`
	// CLERK_FRONTEND_URL is the address of Clerk's Frontend API, where a proxy is in front of it. Empty: as the publishable key says.
	ClerkFrontendURL string `env:"CLERK_FRONTEND_URL"`
	// OIDC_ISSUER is an OpenID Connect provider that people sign in at beside SIGN_IN=passwords, as its discovery document names it. Empty: none.
	OIDCIssuer string `env:"OIDC_ISSUER"`
	// OIDC_CLIENT_ID is the client that this app is there; its redirect address is BASE_URL/sign-in/oidc/callback.
	OIDCClientID string `env:"OIDC_CLIENT_ID"`
	// OIDC_CLIENT_SECRET is the client's secret. Empty: it is a public client, which PKCE protects.
	OIDCClientSecret string `env:"OIDC_CLIENT_SECRET"`
	// OIDC_NAME is what people know the provider as.
	OIDCName string `env:"OIDC_NAME" envDefault:"your organization's sign-in"`
	// ADMINS are the e-mail addresses (with commas) of who operates the app over all organizations, with SIGN_IN. Empty: nobody does by a page.
	Admins []string `env:"ADMINS"`
	// TRUSTED_PROXIES are the networks (CIDR, with commas) whose X-Forwarded-For says where a request comes from. Empty: none.
	TrustedProxies []string `env:"TRUSTED_PROXIES"`
	// SESSION_LIFETIME is how long a sign-in lasts at most.
	SessionLifetime time.Duration `env:"SESSION_LIFETIME" envDefault:"720h"`
	// SESSION_IDLE is how long a sign-in lasts without being used.
	SessionIdle time.Duration `env:"SESSION_IDLE" envDefault:"336h"`
	// PASSWORD_MEMORY is what hashing one password takes, in KiB (argon2id; OWASP asks for 19456 with 2 rounds).
	PasswordMemory uint32 `env:"PASSWORD_MEMORY" envDefault:"19456"`
	// PASSWORD_ROUNDS is how many rounds hashing a password takes.
	PasswordRounds uint32 `env:"PASSWORD_ROUNDS" envDefault:"2"`
	// SMTP_URL is the server that mail is sent by: smtp://user:password@host:587, or smtps://…:465. Empty: admins hand links out.
	SMTPURL string `env:"SMTP_URL"`
	// MAIL_FROM is the address that mail comes from, with SMTP_URL.
	MailFrom string `env:"MAIL_FROM"`
	// ALLOWED_ADDRESSES are networks (CIDR, with commas) that connections may lead to beside public ones, with SIGN_IN.
	AllowedAddresses []string `env:"ALLOWED_ADDRESSES"`
	// DATABASE_URL is the Postgres (15 or newer) that holds everything. Empty: the app runs its own in DATA_DIR.
	DatabaseURL string `env:"DATABASE_URL"`
	// DATABASE_CONNECTIONS is the most connections that one process opens to it.
	DatabaseConnections int32 `env:"DATABASE_CONNECTIONS" envDefault:"24"`
	// REDIS_URL carries the job queue and the fan-out of events. Empty: the app runs one in process.
	RedisURL string `env:"REDIS_URL"`
	// DATA_DIR holds the built-in database and the key of credentials. Empty: the user's data directory.
	DataDir string `env:"DATA_DIR"`
	// POSTGRES_BINARIES is a folder with the built-in database's programs. Empty: they are searched for.
	PostgresBinaries string `env:"POSTGRES_BINARIES"`
	// SAMPLE_DATABASE_URL is a Postgres database for the sample data, used with DATABASE_URL only. Empty: no sample then.
	SampleDatabaseURL string `env:"SAMPLE_DATABASE_URL"`
	// SECRETS_KEY_FILE is the key that credentials are encrypted with. Empty: a file of mode 600 in DATA_DIR.
	SecretsKeyFile string `env:"SECRETS_KEY_FILE"`
	// SECRETS_KEY is that key itself, for hosts that hand secrets over in the environment: 32 random bytes in base64. Empty: a file.
	SecretsKey string `env:"SECRETS_KEY"`
	// SECRETS_KEY_KMS is the address of that key at AWS KMS: aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID. Empty: a file.
	SecretsKeyKMS string `env:"SECRETS_KEY_KMS"`
	// SECRETS_KEY_BEFORE is the key that SECRETS_KEY, SECRETS_KEY_FILE or SECRETS_KEY_KMS takes the place of: the key, a file's path, or an address.
	SecretsKeyBefore string `env:"SECRETS_KEY_BEFORE"`
	// STOP_DELAY is how long a stop goes on answering while /readyz says no, so that a load balancer sends nothing more.
	StopDelay time.Duration `env:"STOP_DELAY" envDefault:"0s"`
	// WATCH_ADDRESS is where a worker answers /healthz, /readyz and /metrics: an address and a port. Empty: nowhere.
	WatchAddress string `env:"WATCH_ADDRESS"`
	// LOG_LEVEL is debug, info, warn or error.
	LogLevel string `env:"LOG_LEVEL" envDefault:"info"`
	// LOG_FORMAT is text or json.
	LogFormat string `env:"LOG_FORMAT" envDefault:"text"`
	// WORKERS is how many jobs one process runs at the same time.
	Workers int `env:"WORKERS" envDefault:"4"`
	// LEASE is how long a worker holds a job without renewing; the other times of jobs follow from it.
	Lease time.Duration `env:"LEASE" envDefault:"45s"`
	// EXAMPLE_FOLDER is a folder whose folders of JSON files can be connected, as in docs/writing-a-connector.md. Empty: they cannot.
	ExampleFolder string `env:"EXAMPLE_FOLDER"`
	// BULK_CELLS is how many cells a change may have before it becomes a job.
	BulkCells int64 `env:"BULK_CELLS" envDefault:"50000"`
	// REQUESTS_PER_PERSON is how many requests a person, token or agent may make in a minute, with SIGN_IN. 0: any number.
	RequestsPerPerson int `env:"REQUESTS_PER_PERSON" envDefault:"3000"`
	// REQUESTS_PER_ADDRESS is how many requests may come from a network address in a minute, with SIGN_IN. 0: any number.
	RequestsPerAddress int `env:"REQUESTS_PER_ADDRESS" envDefault:"12000"`
	// MAX_UPLOAD is how many bytes one uploaded file may have.
	MaxUpload int64 `env:"MAX_UPLOAD" envDefault:"4294967296"`
	// MAX_FILES is how many uploaded files one person may have that were not imported yet; each goes after a day. 0: any number.
	MaxFiles int `env:"MAX_FILES" envDefault:"100"`
	// MAX_FILE_BYTES is how many bytes these may have together. 0: any number.
	MaxFileBytes int64 `env:"MAX_FILE_BYTES" envDefault:"17179869184"`
	// MAX_JOBS is how many jobs an organization may have open. 0: any number.
	MaxJobs int `env:"MAX_JOBS" envDefault:"500"`
	// MAX_RECORDS is how many records an organization may have in all its snapshots together. 0: any number.
	MaxRecords int64 `env:"MAX_RECORDS" envDefault:"0"`
	// AUDIT_KEPT is how long the audit log is kept.
	AuditKept time.Duration `env:"AUDIT_KEPT" envDefault:"9600h"`
	// METRICS_TOKEN opens /metrics to who sends it as a bearer token. Empty: only to this machine, and to nobody where people sign in.
	MetricsToken string `env:"METRICS_TOKEN"`
	// OTEL_EXPORTER_OTLP_ENDPOINT is the collector that traces are told, by OTLP over HTTP, as in http://127.0.0.1:4318. Empty: nobody is.
	Collector string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// POSTHOG_KEY is the project that is told which parts of the app are used, without content and names; docs/analytics.md lists what. Empty: nobody is.
	PostHogKey string `env:"POSTHOG_KEY"`
	// POSTHOG_HOST is the PostHog server of that project.
	PostHogHost string `env:"POSTHOG_HOST" envDefault:"https://eu.i.posthog.com"`
	// FAULT ends the process at a named point, for tests: "publish.sending:2" at the second time, "any:40" at the fortieth of all.
	Fault string `env:"FAULT"`
	// DEV lets the gallery of components be opened: true or false.
	Dev bool `env:"DEV" envDefault:"false"`
}

// Load reads the settings from environ ("NAME=value") and, below it, a .env file in the working directory. An unknown name
// in the file, or a wrong value, is an Invalid error with a sentence that names it.
func Load(environ []string) (Config, error) {
	vars, err := fromFile(".env")
	if err != nil {
		return Config{}, err
	}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			vars[name] = value
		}
	}
	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars}); err != nil {
		return Config{}, unreadable(err)
	}
	return c, c.Validate()
}

// unreadable names the setting whose value has the wrong form.
func unreadable(err error) error {
	var wrong env.ParseError
	if !errors.As(err, &wrong) {
		return core.Wrap(err, core.Invalid, "A setting cannot be read: %s", strings.TrimPrefix(err.Error(), "env: "))
	}
	field, _ := reflect.TypeFor[Config]().FieldByName(wrong.Name)
	what := "a number"
	switch wrong.Type {
	case reflect.TypeFor[bool]():
		what = "true or false"
	case reflect.TypeFor[time.Duration]():
		what = "a time such as 45s or 2m"
	}
	return core.Wrap(err, core.Invalid, "%s takes %s.", field.Tag.Get("env"), what)
}

// Names gives the names of all settings, in order.
func Names() []string {
	var out []string
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		out = append(out, t.Field(i).Tag.Get("env"))
	}
	return out
}

func fromFile(path string) (map[string]string, error) {
	vars := map[string]string{}
	f, err := os.Open(path) // #nosec G304 -- the .env file of the working directory
	if os.IsNotExist(err) {
		return vars, nil
	}
	if err != nil {
		return nil, core.Wrap(err, core.Invalid, "The file .env cannot be read.")
	}
	defer f.Close()
	known := map[string]bool{}
	for _, n := range Names() {
		known[n] = true
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || !known[name] {
			return nil, core.Errorf(core.Invalid, "The file .env names a setting that does not exist: %s. The known ones are explained in .env.example.", name)
		}
		vars[name] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return vars, lines.Err()
}

// Validate checks the settings against each other. Codes: Invalid.
func (c Config) Validate() error {
	switch {
	case c.Port < 0 || c.Port > 65535:
		return core.Errorf(core.Invalid, "PORT takes a number from 0 to 65535.")
	case !c.loopback() && c.WayIn() == "":
		return core.Errorf(core.Invalid, "HOST is %s, but nobody has to sign in, so the app listens on a loopback address only: set HOST to 127.0.0.1, or SIGN_IN to passwords.", c.Host)
	case c.StopDelay < 0 || c.StopDelay > 5*time.Minute:
		return core.Errorf(core.Invalid, "STOP_DELAY takes a time from 0s to 5m.")
	case c.WatchAddress != "" && !isAddress(c.WatchAddress):
		return core.Errorf(core.Invalid, "WATCH_ADDRESS takes an address and a port, such as 127.0.0.1:9090.")
	case c.LogFormat != "text" && c.LogFormat != "json":
		return core.Errorf(core.Invalid, "LOG_FORMAT takes text or json.")
	case c.LogLevel != "debug" && c.LogLevel != "info" && c.LogLevel != "warn" && c.LogLevel != "error":
		return core.Errorf(core.Invalid, "LOG_LEVEL takes debug, info, warn or error.")
	case c.Workers < 1 || c.Workers > 64:
		return core.Errorf(core.Invalid, "WORKERS takes a number from 1 to 64.")
	case c.DatabaseConnections < 4:
		return core.Errorf(core.Invalid, "DATABASE_CONNECTIONS takes at least 4.")
	case c.Lease < time.Second:
		return core.Errorf(core.Invalid, "LEASE takes at least 1s.")
	case c.RequestsPerPerson < 0 || c.RequestsPerAddress < 0 || c.MaxJobs < 0 || c.MaxRecords < 0 || c.MaxFiles < 0 || c.MaxFileBytes < 0:
		return core.Errorf(core.Invalid, "REQUESTS_PER_PERSON, REQUESTS_PER_ADDRESS, MAX_FILES, MAX_FILE_BYTES, MAX_JOBS and MAX_RECORDS take a number from 0, which is no limit.")
	case c.MaxUpload < 1:
		return core.Errorf(core.Invalid, "MAX_UPLOAD takes at least 1.")
	case c.AuditKept < 24*time.Hour:
		return core.Errorf(core.Invalid, "AUDIT_KEPT takes at least 24h.")
	case c.PostHogKey != "" && !isWebAddress(c.PostHogHost):
		return core.Errorf(core.Invalid, "POSTHOG_HOST takes the address of a PostHog server, such as https://eu.i.posthog.com.")
	case c.Collector != "" && !isWebAddress(c.Collector):
		return core.Errorf(core.Invalid, "OTEL_EXPORTER_OTLP_ENDPOINT takes the address of a collector, such as http://127.0.0.1:4318.")
	case c.BulkCells < 1:
		return core.Errorf(core.Invalid, "BULK_CELLS takes at least 1.")
	case c.DatabaseURL == "" && c.DatabaseConnections > 150:
		return core.Errorf(core.Invalid, "DATABASE_CONNECTIONS takes at most 150 with the built-in database.")
	case c.DataDir != "" && !filepath.IsAbs(c.DataDir):
		return core.Errorf(core.Invalid, "DATA_DIR takes an absolute path.")
	case c.PostgresBinaries != "" && !filepath.IsAbs(c.PostgresBinaries):
		return core.Errorf(core.Invalid, "POSTGRES_BINARIES takes an absolute path.")
	case more(c.SecretsKey, c.SecretsKeyFile, c.SecretsKeyKMS):
		return core.Errorf(core.Invalid, "SECRETS_KEY, SECRETS_KEY_FILE and SECRETS_KEY_KMS are ways to give one key: set one of them.")
	case c.SecretsKeyBefore != "" && c.SecretsKeyBefore == cmp.Or(c.SecretsKey, c.SecretsKeyFile, c.SecretsKeyKMS):
		return core.Errorf(core.Invalid, "SECRETS_KEY_BEFORE is the same key as the one that takes its place. Leave it out where the key is not being changed.")
	case c.SampleDatabaseURL != "" && c.DatabaseURL == "":
		return core.Errorf(core.Invalid, "SAMPLE_DATABASE_URL is for use with DATABASE_URL: the built-in database has a sample of its own.")
	case c.SampleDatabaseURL != "" && sameServer(c.SampleDatabaseURL, c.DatabaseURL):
		return core.Errorf(core.Invalid, "SAMPLE_DATABASE_URL names the server of the app's own database, which no connection is let to. Give the sample another server.")
	}
	return c.validateAccess()
}

// more says whether more than one of some settings is set.
func more(settings ...string) bool {
	return len(slices.DeleteFunc(settings, func(s string) bool { return s == "" })) > 1
}

// sameServer says whether two addresses of databases lead to one host and port.
func sameServer(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false // it is refused for that elsewhere
	}
	y, err := url.Parse(b)
	return err == nil && x.Host != "" && x.Hostname() == y.Hostname() && cmp.Or(x.Port(), "5432") == cmp.Or(y.Port(), "5432")
}
