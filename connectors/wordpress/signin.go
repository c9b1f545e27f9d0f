package wordpress

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"scratchpaper/connectors"
)

// person is whom a session is signed in as.
type person struct {
	ID           int64           `json:"id"`
	Name         string          `json:"name"`
	Roles        json.RawMessage `json:"roles"`
	Capabilities json.RawMessage `json:"capabilities"` // an object, [] when there are none
}

// may says whether the person has a capability, by name.
func (p *person) may(capability string) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal(p.Capabilities, &m) != nil {
		return false
	}
	v := string(m[capability])
	return v == "true" || v == "1" || v == `"1"`
}

// Test signs in, and tells apart what can be wrong.
func (s *session) Test(ctx context.Context) error {
	p, err := s.me(ctx)
	if err != nil {
		return s.explainRefusal(ctx, err)
	}
	if !p.may("edit_posts") {
		return &connectors.Fault{Kind: connectors.NotAllowed,
			Words: s.words("The site knows " + s.user + ", but as a person who may not edit posts. Take the account of an editor, or let an administrator change the role.")}
	}
	return nil
}

func (s *session) me(ctx context.Context) (*person, error) {
	var p person
	_, err := s.call(ctx, request{method: http.MethodGet, route: "/wp/v2/users/me", query: edit("id,name,roles,capabilities")}, &p)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// edit are the arguments of a request that only somebody signed in gets an answer to.
func edit(fields string) url.Values {
	q := url.Values{"context": {"edit"}}
	if fields != "" {
		q.Set("_fields", fields)
	}
	return q
}

// explainRefusal finds out why the site does not know us. Older versions give the same answer to a wrong password and to one that
// never arrived, as when the web server drops the header that it is in.
func (s *session) explainRefusal(ctx context.Context, err error) error {
	var f *connectors.Fault
	if !errors.As(err, &f) || f.Kind != connectors.SignedOut {
		return err
	}
	code := ""
	if f.Cause != nil {
		code = f.Cause.Error()
	}
	switch code {
	case "incorrect_password", "invalid_username", "invalid_email", "application_passwords_disabled", "application_passwords_disabled_for_user":
		return f
	}
	words := ""
	switch known, err := s.knownByXMLRPC(ctx); {
	case s.passwordsOff():
		words = "Application passwords are switched off at this site. WordPress offers them only over https, and a security plug-in may have switched them off."
	case err != nil:
		words = "The site does not accept the user name and the application password. If both are right, the web server drops the Authorization header before WordPress sees it; docs/connectors/wordpress.md says how to let it through."
	case known && looksMade(s.password):
		words = "The user name and the application password are right, but they do not arrive: the web server drops the Authorization header before WordPress sees it. docs/connectors/wordpress.md says what to write into .htaccess or the server's configuration."
	default:
		words = "The site does not know this user name with this application password."
	}
	if !looksMade(s.password) {
		words += " An application password has 24 letters and digits; this looks like the account's own password, which is not taken."
	}
	return &connectors.Fault{Kind: connectors.SignedOut, Words: s.words(words), Cause: f.Cause}
}

// passwordsOff says whether the site itself says that it takes no application passwords.
func (s *session) passwordsOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.about != nil && !s.about.takesPasswords()
}

// xmlAnswer is an answer of XML-RPC, as far as it is read.
type xmlAnswer struct {
	Params *struct{} `xml:"params"`
	Fault  *struct{} `xml:"fault"`
}

// knownByXMLRPC asks the older interface, which takes the password in the body, whether the password is right. An error says that
// it cannot be asked: many sites have switched it off.
func (s *session) knownByXMLRPC(ctx context.Context) (bool, error) {
	root, err := s.apiRoot(ctx)
	if err != nil {
		return false, err
	}
	u := *root
	u.RawQuery, u.Path = "", strings.TrimSuffix(strings.TrimRight(insidePattern.ReplaceAllString(strings.TrimRight(u.Path, "/"), ""), "/"), "/wp-json")+"/xmlrpc.php"
	var body bytes.Buffer
	body.WriteString(`<?xml version="1.0"?><methodCall><methodName>wp.getUsersBlogs</methodName><params>`)
	for _, v := range []string{s.user, s.password} {
		body.WriteString("<param><value><string>")
		_ = xml.EscapeText(&body, []byte(v)) // a buffer takes everything
		body.WriteString("</string></value></param>")
	}
	body.WriteString("</params></methodCall>")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), &body)
	if err != nil {
		return false, err
	}
	if err := s.env.Take(ctx); err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "text/xml")
	req.Header.Set("User-Agent", userAgent)
	client := &http.Client{Transport: s.sends, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	var a xmlAnswer
	if err := xml.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&a); err != nil || res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
		return false, errors.Join(err, errors.New("no XML-RPC"))
	}
	return a.Params != nil, nil
}
