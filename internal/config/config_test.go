package config

import (
	"bufio"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"scratchpaper/internal/core"
)

func TestEnvExampleExplainsEverySettingAndNoOther(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	explained := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if text, ok := strings.CutPrefix(line, "# "); ok && !strings.Contains(strings.Fields(text)[0], "=") {
			explained = true
			continue
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "#"), "="); ok {
			if !explained {
				t.Errorf("%s is not explained", name)
			}
			names, explained = append(names, strings.TrimSpace(name)), false
		}
	}
	if want := Names(); !slices.Equal(names, want) {
		t.Errorf(".env.example has %v, the program %v", names, want)
	}
}

func TestWrongSettingsStopTheStartWithASentence(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{"PORT=99999": "PORT", "HOST=0.0.0.0": "HOST", "LOG_LEVEL=loud": "LOG_LEVEL", "WORKERS=none": "WORKERS takes a number", "LEASE=long": "LEASE takes a time", "DEV=perhaps": "DEV takes true or false", "DATA_DIR=here": "DATA_DIR",
		"POSTGRES_BINARIES=bin": "POSTGRES_BINARIES", "SAMPLE_DATABASE_URL=postgres://x": "SAMPLE_DATABASE_URL", "DATABASE_CONNECTIONS=1000": "DATABASE_CONNECTIONS",
		"LOG_FORMAT=xml": "LOG_FORMAT", "PORT=web": "PORT takes a number", "LEASE=1ms": "LEASE", "WORKERS=0": "WORKERS", "BULK_CELLS=0": "BULK_CELLS", "BULK_CELLS=many": "BULK_CELLS takes a number",
		"SIGN_IN=everybody": "SIGN_IN", "SIGN_IN=clerk": "CLERK_SECRET_KEY", "CLERK_SECRET_KEY=sk_x": "CLERK_PUBLISHABLE_KEY", "BASE_URL=https://example.org": "SIGN_IN", "BASE_URL=example.org": "BASE_URL", "SMTP_URL=smtp://localhost": "MAIL_FROM",
		"SESSION_IDLE=1s": "SESSION_IDLE", "PASSWORD_MEMORY=1": "PASSWORD_MEMORY", "PASSWORD_ROUNDS=0": "PASSWORD_ROUNDS", "TRUSTED_PROXIES=proxy": "TRUSTED_PROXIES: proxy",
		"ALLOWED_ADDRESSES=10.0.0.0/99": "ALLOWED_ADDRESSES"} {
		_, err := Load([]string{setting})
		if core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), want) {
			t.Errorf("%s gives %v", setting, err)
		}
	}
	for _, both := range [][]string{{"SIGN_IN=passwords", "HOST=0.0.0.0"}, {"SIGN_IN=passwords", "BASE_URL=http://example.org"}, {"SIGN_IN=passwords", "BASE_URL=https://example.org/app"}} {
		if _, err := Load(both); core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), "BASE_URL") {
			t.Errorf("%v gives %v", both, err)
		}
	}
	if _, err := Load([]string{"DATABASE_URL=postgres://app@db.example.org/app", "SAMPLE_DATABASE_URL=postgres://sample@db.example.org:5432/sample"}); !strings.Contains(core.SentenceOf(err), "another server") {
		t.Errorf("a sample beside the app's own database gives %v", err)
	}
	if _, err := Load([]string{"DATABASE_URL=postgres://app@db.example.org/app", "SAMPLE_DATABASE_URL=postgres://sample@db.example.org:5433/sample"}); err != nil {
		t.Errorf("a sample at another server gives %v", err)
	}
	if c, err := Load([]string{"SIGN_IN=passwords", "HOST=0.0.0.0", "BASE_URL=https://app.example.org:8443", "TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1"}); err != nil || c.BaseHost() != "app.example.org" {
		t.Errorf("right settings give %q, %v", c.BaseHost(), err)
	}
	if _, err := Load([]string{"PORT=3011"}); err != nil {
		t.Errorf("a right setting gives %v", err)
	}
}

func TestEnvExampleShowsTheDefaults(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[Config]()
	for i := range fields.NumField() {
		tag := fields.Field(i).Tag
		if want := "#" + tag.Get("env") + "=" + tag.Get("envDefault") + "\n"; !strings.Contains(string(example), want) {
			t.Errorf(".env.example lacks the line %q", want)
		}
	}
}

func TestTheEnvFileIsReadBelowTheEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	writeEnvFile(t, "# mine\nPORT=4000\n\nLOG_FORMAT=\"json\"\n")
	c, err := Load([]string{"PORT=5000"})
	if err != nil || c.Port != 5000 || c.LogFormat != "json" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestAnUnknownNameInTheEnvFileStopsTheStart(t *testing.T) {
	t.Chdir(t.TempDir())
	writeEnvFile(t, "PROT=4000\n")
	if _, err := Load(nil); core.CodeOf(err) != core.Invalid || !strings.Contains(core.SentenceOf(err), "PROT") {
		t.Errorf("got %v", err)
	}
}

func writeEnvFile(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(".env", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
