package wordpresstest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Site is a WordPress site of its own. It is in a sub-folder of the server's address, has pretty permalinks, no posts, and the
// user admin; its zone is UTC.
type Site struct {
	URL      string
	User     string
	Password string // the user's application password
	server   *server
	name     string
}

// New gives a fresh site. It goes away with the test.
func New(t testing.TB) *Site {
	t.Helper()
	s := get(t)
	name := fmt.Sprintf("s%d", s.sites.Add(1))
	site := &Site{URL: s.url + "/" + name, User: "admin", server: s, name: name, Password: s.password(t)}
	s.mustSQL(t, "wp_root", cloneSQL(name, s.mustSQL(t, "wp_root", "show tables")))
	t.Cleanup(func() { s.mustSQL(t, "", "drop database wp_"+name) })
	return site
}

// Root gives the site at the server's bare address. All tests of the binary share it: change nothing there.
func Root(t testing.TB) *Site {
	t.Helper()
	s := get(t)
	return &Site{URL: s.url, User: "admin", server: s, name: "root", Password: s.password(t)}
}

// Server is the address that all sites are behind: scheme, host and port.
func (s *Site) Server() string { return s.server.url }

func get(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("a WordPress for tests: %v", err)
	}
	return s
}

func (s *server) password(t testing.TB) string {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(s.dir, "password"))
	if err != nil {
		t.Fatal(err)
	}
	return string(password)
}

func cloneSQL(name string, tables []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "create database wp_%s character set utf8mb4;\n", name)
	for _, table := range tables {
		fmt.Fprintf(&b, "create table wp_%[1]s.%[2]s like wp_root.%[2]s; insert into wp_%[1]s.%[2]s select * from wp_root.%[2]s;\n", name, table)
	}
	return b.String()
}

func (s *server) mustSQL(t testing.TB, database, statements string) []string {
	t.Helper()
	lines, err := s.sql(context.WithoutCancel(t.Context()), database, statements)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// SQL runs statements in the site's database and gives the lines of the answer, fields separated by tabs.
func (s *Site) SQL(t testing.TB, statements string) []string {
	t.Helper()
	return s.server.mustSQL(t, "wp_"+s.name, statements)
}

// Quote makes a literal of a text for SQL.
func Quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\x00", `\0`).Replace(text) + "'"
}

// PHP runs code inside the site, as its administrator, and gives what it prints.
func (s *Site) PHP(t testing.TB, code string) string {
	t.Helper()
	out, err := s.server.php(context.WithoutCancel(t.Context()), s.URL, code)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// JSON runs code inside the site, which returns something, and reads that into v.
func (s *Site) JSON(t testing.TB, code string, v any) {
	t.Helper()
	out := s.PHP(t, "echo json_encode((function () { "+code+" })());")
	if err := json.Unmarshal([]byte(out), v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Set sets an option of the site.
func (s *Site) Set(t testing.TB, option, value string) {
	t.Helper()
	s.PHP(t, fmt.Sprintf("update_option(%s, %s);", literal(option), literal(value)))
}

// NewUser makes a user with a role and gives the site as that user.
func (s *Site) NewUser(t testing.TB, login, role string) *Site {
	t.Helper()
	as := *s
	as.User = login
	s.JSON(t, fmt.Sprintf(`$id = wp_create_user(%[1]s, 'its-own-login-word', %[1]s . '@example.test'); (new WP_User($id))->set_role(%[2]s);
		[$password] = WP_Application_Passwords::create_new_application_password($id, ['name' => 'test']); return $password;`, literal(login), literal(role)), &as.Password)
	return &as
}

// As gives the site as a user that is there, with an application password.
func (s *Site) As(t testing.TB, login string) *Site {
	t.Helper()
	as := *s
	as.User = login
	s.JSON(t, fmt.Sprintf(`[$password] = WP_Application_Passwords::create_new_application_password(get_user_by('login', %s)->ID, ['name' => 'test' . wp_generate_password(8, false)]); return $password;`,
		literal(login)), &as.Password)
	return &as
}

// Revoke takes back all application passwords of the site's user.
func (s *Site) Revoke(t testing.TB) {
	t.Helper()
	s.PHP(t, fmt.Sprintf("WP_Application_Passwords::delete_all_application_passwords(get_user_by('login', %s)->ID);", literal(s.User)))
}

// NewType makes a custom type like the books and gives its name: a table of its own for a test, with which it goes away.
func (s *Site) NewType(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("thing%d", s.server.types.Add(1))
	s.changeTypes(t, "$types[] = "+literal(name)+";")
	t.Cleanup(func() { s.changeTypes(t, "$types = array_diff($types, ["+literal(name)+"]);") })
	return name
}

// changeTypes lets one test after the other change the list of custom types.
func (s *Site) changeTypes(t testing.TB, code string) {
	t.Helper()
	s.PHP(t, `global $wpdb; $wpdb->query("select get_lock('wt_types', 10)"); wp_cache_flush();
		$types = array_filter(explode(',', get_option('wt_types', ''))); `+code+`
		update_option('wt_types', implode(',', $types)); $wpdb->query("select release_lock('wt_types')");`)
}

// PlainLinks switches pretty permalinks off.
func (s *Site) PlainLinks(t testing.TB) {
	t.Helper()
	s.PHP(t, `global $wp_rewrite; $wp_rewrite->set_permalink_structure(''); $wp_rewrite->flush_rules(false);`)
}

// Insert makes posts with the fields that wp_insert_post takes, and gives their ids.
func (s *Site) Insert(t testing.TB, posts ...map[string]any) []string {
	t.Helper()
	raw, err := json.Marshal(posts)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	s.JSON(t, fmt.Sprintf(`$ids = []; foreach (json_decode(%s, true) as $p) { $ids[] = (string) wp_insert_post(wp_slash($p)); } return $ids;`, literal(string(raw))), &ids)
	return ids
}

// literal makes a PHP literal of a text.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
