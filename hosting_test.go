package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"scratchpaper/internal/config"
)

func mustRead(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// notOurs are names in capitals in the hosting files that are settings of something else.
var notOurs = []string{"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "SITE_ADDRESS", "CGO_ENABLED"}

// TestSettingsInHostingFilesExist finds settings that were renamed or never were, and files that the documentation names and that are not
// there.
func TestSettingsInHostingFilesExist(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\b[A-Z][A-Z]+(_[A-Z]+)+\b`)
	for _, path := range []string{"Dockerfile", "compose.yaml", "render.yaml", "deploy/scratchpaper.service", "deploy/Caddyfile", "docs/hosting.md", "docs/scaling.md"} {
		text := mustRead(t, path)
		if path == "deploy/scratchpaper.service" {
			text = strings.Join(regexp.MustCompile(`(?m)^Environment=.*$`).FindAllString(text, -1), "\n")
		}
		for _, n := range name.FindAllString(text, -1) {
			if !slices.Contains(config.Names(), n) && !slices.Contains(notOurs, n) && !strings.HasPrefix(n, "BENCH_") && !strings.HasPrefix(n, "LOAD_") && !strings.HasPrefix(n, "STREAM_") {
				t.Errorf("%s uses %s, which is no setting", path, n)
			}
		}
	}
}

func TestFilesThatTheDocumentationNamesExist(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	file := regexp.MustCompile("`((?:deploy|docs|scripts|static|internal|store|jobs|handlers|e2e|bench|migrations)/[A-Za-z0-9_./-]+)`")
	for _, path := range append(docs, "README.md") {
		text := mustRead(t, path)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s leads to %s, which is not there", path, m[1])
			}
		}
		for _, m := range file.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
	}
}

// service is what is looked at in a service of compose.yaml.
type service struct {
	Image       string            `yaml:"image"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	User        string            `yaml:"user"`
}

func TestTheComposeFileRunsTheAppWithoutRights(t *testing.T) {
	t.Parallel()
	var c struct {
		Services map[string]service `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if s.Image == "" || strings.HasSuffix(s.Image, ":latest") && !strings.HasPrefix(s.Image, "scratchpaper:") {
			t.Errorf("%s has the image %q", name, s.Image)
		}
	}
	for name, command := range map[string]string{"web": "serve", "worker": "worker"} {
		s := c.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.Command, []string{command}) {
			t.Errorf("%s is %+v", name, s)
		}
		var environ []string
		for k, v := range s.Environment {
			v = regexp.MustCompile(`\$\{SITE_ADDRESS[^}]*\}`).ReplaceAllString(v, "app.example.org")
			v = regexp.MustCompile(`\$\{SECRETS_KEY[^}]*\}`).ReplaceAllString(v, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
			v = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(v, "")
			environ = append(environ, k+"="+v)
		}
		if _, err := config.Load(append(environ, "HOST=0.0.0.0")); err != nil {
			t.Errorf("the settings of %s: %v", name, err)
		}
	}
}

// TestRenderStartsWhatTheAppNeeds reads render.yaml as far as this program knows its form; Render's own schema is not at hand here.
func TestRenderStartsWhatTheAppNeeds(t *testing.T) {
	t.Parallel()
	var r struct {
		EnvVarGroups []struct {
			Name    string
			EnvVars []map[string]any `yaml:"envVars"`
		} `yaml:"envVarGroups"`
		Services []struct {
			Type, Name, Runtime, Region string
			HealthCheckPath             string           `yaml:"healthCheckPath"`
			DockerCommand               string           `yaml:"dockerCommand"`
			MaxmemoryPolicy             string           `yaml:"maxmemoryPolicy"`
			EnvVars                     []map[string]any `yaml:"envVars"`
		}
		Databases []struct{ Name, Region string }
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, "render.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, s := range r.Services {
		kinds[s.Type] = s.Name
		if s.Region != r.Databases[0].Region {
			t.Errorf("%s is in %s, the database in %s", s.Name, s.Region, r.Databases[0].Region)
		}
		if s.Type == "keyvalue" && s.MaxmemoryPolicy != "noeviction" {
			t.Errorf("%s may lose entries: %s", s.Name, s.MaxmemoryPolicy)
		}
		if s.Type == "web" && s.HealthCheckPath != "/readyz" || s.Type == "worker" && s.DockerCommand != "/scratchpaper worker" {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	for _, s := range r.Services {
		for _, v := range s.EnvVars {
			if from, ok := v["fromService"].(map[string]any); ok && from["name"] != kinds["keyvalue"] {
				t.Errorf("%s takes %v from %v", s.Name, v["key"], from["name"])
			}
			if from, ok := v["fromDatabase"].(map[string]any); ok && from["name"] != r.Databases[0].Name {
				t.Errorf("%s takes %v from %v", s.Name, v["key"], from["name"])
			}
			if from, ok := v["fromGroup"].(string); ok && from != r.EnvVarGroups[0].Name {
				t.Errorf("%s takes the group %s", s.Name, from)
			}
		}
	}
	if len(kinds) != 3 {
		t.Errorf("render.yaml has %v", kinds)
	}
}

// TestTheDashboardShowsMetricsThatThereAre compares the dashboard's names with those that the program makes.
func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(mustRead(t, "deploy/grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	made := mustRead(t, "internal/metrics/metrics.go")
	name := regexp.MustCompile(`scratchpaper_[a-z_]+`)
	shown := map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, n := range name.FindAllString(target.Expr, -1) {
				n = strings.TrimSuffix(strings.TrimSuffix(n, "_bucket"), "_count")
				shown[n] = true
				if !strings.Contains(made, `"`+n+`"`) {
					t.Errorf("%s shows %s, which there is not", p.Title, n)
				}
			}
		}
	}
	for _, n := range name.FindAllString(made, -1) {
		if !shown[n] {
			t.Errorf("nothing shows %s", n)
		}
	}
}
