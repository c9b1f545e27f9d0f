package config

import (
	"slices"
	"strings"
	"testing"
)

func TestANameThatReadsLikeASettingIsTold(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{"TRUSTED_PROXY": "TRUSTED_PROXIES", "ALLOWED_ADRESSES": "ALLOWED_ADDRESSES", "DATABSE_URL": "DATABASE_URL", "SECRET_KEY": "SECRETS_KEY",
		"SING_IN": "SIGN_IN", "DATADIR": "DATA_DIR", "BASEURL": "BASE_URL"} {
		said := Misspelt([]string{name + "=hush", "PATH=/bin"})
		if len(said) != 1 || !strings.Contains(said[0], name+" ") || !strings.Contains(said[0], meant+"?") || strings.Contains(said[0], "hush") {
			t.Errorf("%s is answered %q", name, said)
		}
	}
}

func TestNamesOfOthersAreNotTold(t *testing.T) {
	t.Parallel()
	others := []string{"PATH=x", "HOME=x", "HOSTNAME=x", "POST=x", "LANG=x", "PGHOST=x", "KUBERNETES_PORT=x", "SCRATCHPAPER_PORT=x", "REDIS_PORT=x", "RENDER_SERVICE_ID=x", "INVOCATION_ID=x",
		"JOURNAL_STREAM=x", "AWS_REGION=x", "XDG_DATA_DIRS=x", "DATABASE_URI=x", "DATABASE_URL=x"}
	for _, n := range Names() {
		others = append(others, n+"=x")
	}
	if said := Misspelt(slices.Compact(others)); len(said) != 0 {
		t.Errorf("told %q", said)
	}
}
