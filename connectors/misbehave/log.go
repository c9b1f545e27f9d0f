package misbehave

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// secretName says of the name of a query's parameter that its value is likely a secret.
var secretName = regexp.MustCompile(`(?i)pass|secret|token|key|auth|nonce|signature|session`)

const redacted = "***"

// line makes the log's line of a request.
func (p *Proxy) line(r *http.Request, body []byte, f Fault, at time.Time) Request {
	line := Request{At: at, Method: r.Method, Did: f.Act, After: f.After, InAddress: p.holdsSecret(r.URL)}
	line.Path = p.redact(r.URL.Path)
	query := r.URL.Query()
	for name := range query {
		if secretName.MatchString(name) {
			query[name] = []string{redacted}
		}
	}
	line.Query, _ = url.QueryUnescape(query.Encode())
	line.Query = p.redact(line.Query)
	line.Body = p.redact(string(body[:min(len(body), bodyKept)]))
	return line
}

func (p *Proxy) holdsSecret(u *url.URL) bool {
	plain, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		plain = u.RawQuery
	}
	for _, s := range p.secrets {
		for _, text := range []string{u.Path, u.RawQuery, plain} {
			if strings.Contains(text, s) || hasEncoded(text, s) {
				return true
			}
		}
	}
	return false
}

func (p *Proxy) redact(s string) string {
	for _, secret := range p.secrets {
		s = strings.ReplaceAll(s, secret, redacted)
		for _, e := range encodings(secret) {
			s = strings.ReplaceAll(s, e, redacted)
		}
	}
	return s
}

func hasEncoded(text, secret string) bool {
	for _, e := range encodings(secret) {
		if strings.Contains(text, e) {
			return true
		}
	}
	return false
}

// encodings gives what stands in the base64 of any text that has the secret in it: three shifts, each without the letters at its ends
// that depend on what is beside. Secrets of less than eight bytes have none that says anything.
func encodings(secret string) []string {
	if len(secret) < 8 {
		return nil
	}
	var out []string
	for shift := range 3 {
		inner := secret[(3-shift)%3:]
		inner = inner[:len(inner)/3*3]
		out = append(out, base64.StdEncoding.EncodeToString([]byte(inner)), base64.URLEncoding.EncodeToString([]byte(inner)))
	}
	return out
}
