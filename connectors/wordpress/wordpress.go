// Package wordpress is the connector for WordPress sites, from version 5.6 on, by their own REST interface.
//
// Every request asks for the context "edit": without it a site answers a credential that is not valid any more as it answers
// anybody, with fewer records. Values are the raw ones, never what a page shows.
package wordpress

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"scratchpaper/connectors"
)

const (
	pageSize     = 100 // records that a site gives at most
	batchSize    = 25  // requests that a site takes in one
	describedFor = time.Minute
	answerBytes  = 128 << 20 // more is not read
)

// Connector connects to WordPress sites.
type Connector struct{}

// New makes the connector.
func New() *Connector { return &Connector{} }

// Info describes the connector.
func (*Connector) Info() connectors.Info {
	return connectors.Info{
		Session: (*session)(nil),
		ID:      "wordpress",
		Name:    "WordPress",
		Summary: "Posts, pages, media, categories, tags and custom types of a WordPress site.",
		Icon:    "globe",
		SetUp: []string{
			"In WordPress, open Users, then Profile: of a user who may edit what you want to work on, best an editor or administrator.",
			"Under Application Passwords type Scratchpaper as the name and press Add New Application Password.",
			"Copy the password that is shown then, with or without its spaces; WordPress shows it once.",
		},
		Settings:    settings(),
		Authorizing: authorizing,
		Limits: connectors.Limits{
			ReadPage:    pageSize,
			LookupBatch: pageSize,
			CreateBatch: batchSize,
			UpdateBatch: batchSize,
			UpdateParts: 2, // of texts alone, see sendTogether
			DeleteBatch: batchSize,
		},
		Gap:        "WordPress does not refuse a change that was made on an old version. Each record is read just before it is written; what somebody saves in the moment between is overwritten, and stays in WordPress as a revision.",
		Restorable: true,
	}
}

// Open checks the settings; it connects when the session is first used.
func (*Connector) Open(_ context.Context, given connectors.Settings, env connectors.Environment) (connectors.Session, error) {
	if err := check(given); err != nil {
		return nil, err
	}
	site, _ := siteAddress(given[siteKey]) // was tried by check
	return newSession(site, given, env), nil
}

func newSession(site *url.URL, given connectors.Settings, env connectors.Environment) *session {
	s := &session{env: env, site: site, user: given[userKey], password: given[passwordKey], deletes: given[deletesKey], described: map[string]described{}}
	s.transport = &http.Transport{
		DialContext:         env.Dial, // nil is the plain one
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 2,
		MaxConnsPerHost:     4,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	s.sends = env.Watched(s.transport)
	return s
}

// session is one user at one site.
type session struct {
	env       connectors.Environment
	transport *http.Transport
	sends     http.RoundTripper // the transport, watched
	site      *url.URL
	user      string
	password  string
	deletes   string

	mu        sync.Mutex
	closed    bool
	root      *url.URL // of the REST interface, once it is found
	about     *about
	described map[string]described
	ahead     []*ahead // the windows after the one that was read last, in order
	beside    sync.WaitGroup
}

type described struct {
	table *table
	until time.Time
}

var (
	_ connectors.Session       = (*session)(nil)
	_ connectors.Creator       = (*session)(nil)
	_ connectors.Finisher      = (*session)(nil)
	_ connectors.Deleter       = (*session)(nil)
	_ connectors.BatchReader   = (*session)(nil)
	_ connectors.VersionReader = (*session)(nil)
	_ connectors.Recogniser    = (*session)(nil)
	_ connectors.Counter       = (*session)(nil)
)

// Close ends the connections.
func (s *session) Close() {
	s.mu.Lock()
	s.closed = true
	for _, a := range s.ahead {
		a.cancel()
	}
	s.mu.Unlock()
	s.beside.Wait()
	s.transport.CloseIdleConnections()
}
