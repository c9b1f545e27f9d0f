package wordpress

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// restError is how the REST interface refuses. Its messages are in the site's language; the code is not.
type restError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Data    struct {
		Status int             `json:"status"`
		Params json.RawMessage `json:"params"` // field → message, or a list
	} `json:"data"`
}

// params gives what is said of single fields.
func (e restError) params() map[string]string {
	var m map[string]string
	_ = json.Unmarshal(e.Data.Params, &m) // a list names missing ones; the message says the same
	return m
}

// codeFields are the fields that codes are about which name none.
var codeFields = map[string]string{
	"rest_invalid_featured_media":    "featured_media",
	"rest_invalid_author":            "author",
	"rest_post_invalid_parent":       "parent",
	"rest_term_invalid_parent":       "parent",
	"rest_cannot_publish":            "status",
	"rest_cannot_edit_others":        "author",
	"rest_cannot_assign_sticky":      "sticky",
	"rest_invalid_template":          "template",
	"rest_user_invalid_slug":         "slug",
	"rest_user_invalid_email":        "email",
	"rest_taxonomy_not_hierarchical": "parent",
	"term_exists":                    "name",
}

// refusal is the cause of a Fault that the REST interface itself gave.
type refusal struct {
	restError
	status int
}

// Error gives the code.
func (r *refusal) Error() string { return r.Code }

// restFault turns a refusal into a Fault. t, when given, says which fields there are.
func (s *session) restFault(e restError, status int, t *table) *connectors.Fault {
	f := &connectors.Fault{Words: s.words(plain(e.Message)), Cause: &refusal{e, status}}
	switch {
	case status == http.StatusUnauthorized:
		f.Kind = connectors.SignedOut
		f.Words = s.words("The site does not accept the user name and application password any more: " + plain(e.Message))
	case e.Code == "rest_no_route":
		f.Kind = connectors.Gone
	case status == http.StatusNotFound, status == http.StatusGone:
		f.Kind = connectors.Gone
	case status == http.StatusForbidden:
		f.Kind = connectors.NotAllowed
	case status == http.StatusTooManyRequests:
		f.Kind = connectors.Limited
	case e.Code == "internal_server_error":
		f.Kind = connectors.Unavailable
	default:
		f.Kind = connectors.RefusedRecord
	}
	if f.Kind != connectors.RefusedRecord || t == nil {
		return f
	}
	field, words := t.blamed(e)
	if field != "" {
		f.Kind, f.Field = connectors.RefusedValue, field
	}
	if words != "" {
		f.Words = s.words(words)
	}
	return f
}

// blamed gives the field that a refusal is about, and what is said of all fields that it names.
func (t *table) blamed(e restError) (field, words string) {
	params := e.params()
	var said []string
	for _, c := range t.fields {
		if w, ok := params[c.key()]; ok && !slices.Contains(said, plain(w)) {
			said = append(said, plain(w))
			if field == "" {
				field = c.ID
			}
		}
	}
	if field == "" {
		if id := codeFields[e.Code]; t.field(id) != nil {
			field = id
		}
	}
	return field, strings.Join(said, " ")
}

// unreachable is the Fault of a request without an answer.
func (s *session) unreachable(err error, unsent bool) error {
	var ours *core.Error
	if errors.As(err, &ours) && ours.Code == core.Forbidden {
		return &connectors.Fault{Kind: connectors.NotAllowed, Words: ours.Sentence, Unsent: unsent, Cause: ours}
	}
	words := "The connection to the site was lost: " + rootCause(err)
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		words = "There is no site at this address: the name " + name.Name + " is not known. Look for a typing error in it."
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		words = "The site did not answer in time."
	case isCertificate(err):
		words = "The site's certificate is not valid: " + rootCause(err)
	case unsent:
		words = "The site cannot be reached: " + rootCause(err)
	}
	return &connectors.Fault{Kind: connectors.Unavailable, Words: s.words(words), Unsent: unsent, Cause: errors.New(s.words(err.Error()))}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func isCertificate(err error) bool {
	return errors.As(err, new(x509.UnknownAuthorityError)) || errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError))
}

func rootCause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// words cuts a message at 500 characters and takes the password out of it, in case a site repeats what it was sent.
func (s *session) words(message string) string {
	if len(s.password) > 3 {
		message = strings.ReplaceAll(message, s.password, "…")
		message = strings.ReplaceAll(message, base64.StdEncoding.EncodeToString([]byte(s.user+":"+s.password)), "…")
	}
	message = strings.TrimSpace(strings.ToValidUTF8(message, "�"))
	if utf8.RuneCountInString(message) > 500 {
		message = string([]rune(message)[:499]) + "…"
	}
	if message == "" {
		return "The site gave no reason."
	}
	return message
}

var (
	hiddenPattern = regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)>`)
	tagPattern    = regexp.MustCompile(`<[^>]*>`)
	spacePattern  = regexp.MustCompile(`\s+`)
)

// plain makes plain text of a message, in which plug-ins like to put HTML.
func plain(message string) string {
	text := tagPattern.ReplaceAllString(hiddenPattern.ReplaceAllString(message, " "), " ")
	return strings.TrimSpace(spacePattern.ReplaceAllString(html.UnescapeString(text), " "))
}

// pageWords is the beginning of what a page says.
func pageWords(body []byte) string {
	text := []rune(plain(string(body[:min(len(body), 8000)])))
	if len(text) > 160 {
		text = append(text[:159], '…')
	}
	return string(text)
}
