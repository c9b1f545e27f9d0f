package wordpress_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"scratchpaper/connectors"
	"scratchpaper/connectors/wordpress/wordpresstest"
	"scratchpaper/internal/freeport"
)

// The test of a connection tells apart what can be wrong, each in a sentence that says what to do.
func TestWhatIsWrongWithAConnectionIsSaid(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("<h1>A site of another kind</h1>"))
	}))
	t.Cleanup(page.Close)
	closed := freeport.Address(freeport.Take(t))

	good := wordpresstest.New(t)
	stripped, off, noXMLRPC, notices, firewall := wordpresstest.New(t), wordpresstest.New(t), wordpresstest.New(t), wordpresstest.New(t), wordpresstest.New(t)
	stripped.Set(t, "wt_strip", "1")
	off.Set(t, "wt_no_passwords", "1")
	noXMLRPC.Set(t, "wt_strip", "1")
	noXMLRPC.Set(t, "wt_no_xmlrpc", "1")
	notices.Set(t, "wt_notice", "1")
	firewall.Set(t, "wt_firewall", "403")
	subscriber := good.NewUser(t, "sub", "subscriber")

	with := func(site *wordpresstest.Site, key, value string) connectors.Settings {
		settings := settingsOf(site)
		if key != "" {
			settings[key] = value
		}
		return settings
	}
	for _, tt := range []struct {
		name     string
		settings connectors.Settings
		kind     connectors.FaultKind // "" is none
		field    string
		words    string
	}{
		{"all is right", with(good, "", ""), "", "", ""},
		{"the password with the spaces that WordPress shows", with(good, "password", spaced(good.Password)), "", "", ""},
		{"the address of a page of the site", with(good, "site", good.URL+"/wp-admin/index.php"), "", "", ""},
		{"nothing listens", with(good, "site", "http://"+closed), connectors.Unavailable, "", "cannot be reached"},
		{"a name that nobody has", with(good, "site", "http://no-such-site.invalid"), connectors.Unavailable, "", ""},
		{"a site of another kind", with(good, "site", page.URL), connectors.RefusedValue, "site", "no WordPress"},
		{"a folder that is not there", with(good, "site", good.Server()+"/s999999"), "-", "", ""},
		{"a wrong password", with(good, "password", "abcdefghijklmnopqrstuvwx"), connectors.SignedOut, "", "does not know this user name with this application password"},
		{"a user that is not there", with(good, "user", "nobody"), connectors.SignedOut, "", "does not know this user name"},
		{"the account's own password", with(good, "password", "its-own-login-word"), connectors.SignedOut, "", "account's own password"},
		{"a dropped header", with(stripped, "", ""), connectors.SignedOut, "", "drops the Authorization header"},
		{"a dropped header and no XML-RPC to ask", with(noXMLRPC, "", ""), connectors.SignedOut, "", "If both are right, the web server drops the Authorization header"},
		{"application passwords are switched off", with(off, "", ""), connectors.SignedOut, "", "switched off"},
		{"a person without rights", settingsOf(subscriber), connectors.NotAllowed, "", "may not edit posts"},
		{"a plug-in that prints notices", with(notices, "", ""), connectors.Broken, "", "Undefined variable: title"},
		{"a firewall", with(firewall, "", ""), connectors.Broken, "", "firewall"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := open(t, tt.settings).Test(t.Context())
			switch {
			case tt.kind == "-" && err != nil:
			case tt.kind == "" && err != nil:
				t.Error(err)
			case tt.kind != "" && err == nil:
				t.Error("it works")
			case tt.kind != "":
				f := faultOf(t, err)
				if f.Kind != tt.kind || f.Field != tt.field || !strings.Contains(f.Words, tt.words) {
					t.Errorf("%s %q: %s", f.Kind, f.Field, f.Words)
				}
				if strings.Contains(err.Error(), tt.settings["password"]) {
					t.Error("the words show the password")
				}
			}
		})
	}
}

// spaced gives a password in groups of four, as WordPress shows it.
func spaced(password string) string {
	var groups []string
	for ; len(password) > 4; password = password[4:] {
		groups = append(groups, password[:4])
	}
	return strings.Join(append(groups, password), " ")
}

func TestASiteIsFoundWhereverItLies(t *testing.T) {
	t.Parallel()
	plain := wordpresstest.New(t)
	plain.PlainLinks(t)
	for name, site := range map[string]*wordpresstest.Site{"with plain links in a folder": plain, "at the bare address": wordpresstest.Root(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, settingsOf(site))
			if err := s.Test(t.Context()); err != nil {
				t.Fatal(err)
			}
			table := tableOf(t, s, "taxonomy/category")
			page, err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Fields: []string{"name"}})
			if err != nil || len(page.Records) != 1 || page.Records[0].Values[0].Text != "Uncategorized" {
				t.Errorf("%+v: %v", page, err)
			}
		})
	}
}

// The site may send us anywhere; the password goes nowhere but to the site.
func TestThePasswordIsNotSentToWhereASiteLeads(t *testing.T) {
	t.Parallel()
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			stolen.Store(true)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"namespaces":["wp/v2"],"name":"thief","id":1,"capabilities":{"edit_posts":true}}`))
	}))
	t.Cleanup(thief.Close)
	elsewhere := strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)
	var site *httptest.Server
	for name, handler := range map[string]http.HandlerFunc{
		"its front page leads there": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/", http.StatusMovedPermanently)
		},
		"its Link header names it": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+elsewhere+`/wp-json/>; rel="https://api.w.org/"`)
			if r.URL.Path != "/" {
				http.NotFound(w, r)
			}
		},
		"its interface leads there": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/wp-json/wp/v2") {
				http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"namespaces":["wp/v2"]}`))
		},
	} {
		site = httptest.NewServer(handler)
		t.Cleanup(site.Close)
		s := open(t, connectors.Settings{"site": site.URL, "user": "ana", "password": "abcdefghijklmnopqrstuvwx"})
		if err := s.Test(t.Context()); err == nil {
			t.Errorf("%s: it works", name)
		}
		if stolen.Load() {
			t.Fatalf("%s: the password was sent there", name)
		}
	}
}
