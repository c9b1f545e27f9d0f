package connectortest_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/connectors/connectortest"
)

func suite(t *testing.T, flaw string) {
	s := newRecords(t)
	connectortest.Run(t, connectortest.Harness{
		Connector:  client{flaw},
		Settings:   connectors.Settings{"address": s.URL, "token": s.token},
		Credential: "token",
		HTTP:       s.URL,
		Patience:   150 * time.Millisecond,
		Wait:       10 * time.Second,
		NewTable:   s.table,
	})
}

func TestAGoodConnectorPasses(t *testing.T) {
	t.Parallel()
	suite(t, "")
}

// flaws are faults of connectors with the test that has to find each.
var flaws = map[string]string{
	"dials around":              "reading fails or tells the truth",
	"takes no turns":            "every request waits for its turn",
	"no rest":                   "a service that wants a rest gets it",
	"credential in the address": "a table is listed and described",
	"shows the credential":      "updates are done, not done or not known",
	"waits for ever":            "a call ends when nobody waits",
	"lost is unsent":            "updates are done, not done or not known",
	"creates again":             "creates are done, not done or not known",
	"pages are empty answers":   "reading fails or tells the truth",
	"signed out is the end":     "reading fails or tells the truth",
	"signed out is gone":        "a revoked credential writes nothing",
	"own words":                 "a refused value is its own record's failure",
	"ends early":                "reading goes on from any checkpoint",
	"remembers":                 "a look shows what the service holds now",
	"sends everything":          "only the given fields are sent",
	"says what was sent":        "what the service makes of a value",
	"writes late":               "nothing is written after the deadline",
}

// flawVariable names the flaw of TestAFlawedConnector, which is run by TestEachFlawIsFound only.
const flawVariable = "CONNECTORTEST_FLAW"

func TestAFlawedConnector(t *testing.T) {
	flaw := os.Getenv(flawVariable)
	if flaw == "" {
		t.Skip("it fails on purpose: TestEachFlawIsFound runs it")
	}
	suite(t, flaw)
}

func TestEachFlawIsFound(t *testing.T) {
	t.Parallel()
	for flaw, test := range flaws {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			name := regexp.QuoteMeta(strings.ReplaceAll(test, " ", "_"))
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAFlawedConnector$/^"+name, "-test.timeout", "60s")
			cmd.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestAFlawedConnector/"+strings.ReplaceAll(test, " ", "_")) {
				t.Errorf("the test %q does not find it: %v\n%s", test, err, out)
			}
		})
	}
}
