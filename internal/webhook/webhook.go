// Package webhook sends what webhooks are told, signed as Standard Webhooks says (https://www.standardwebhooks.com), so that receivers check it
// with that project's libraries or with svix's.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"scratchpaper/internal/core"
)

const (
	postLimit   = 15 * time.Second // of one try, from the look-up of the name to the end of the answer
	answerLimit = 64 << 10         // bytes of an answer that are read; nothing of it is kept
	headerLimit = 64 << 10         // bytes of an answer's headers
)

// Message is one thing to be told. ID is the same with every try.
type Message struct {
	ID, Body string
	Secret   []byte
	Before   []byte // a former secret that signs too; nil is none
}

// Poster posts messages.
type Poster struct {
	client *http.Client
	now    func() time.Time
}

// New makes a poster whose connections dial opens: it refuses addresses that are not allowed. No proxy of the environment is used, since it
// would dial what dial refuses.
func New(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Poster {
	return &Poster{now: time.Now, client: &http.Client{
		Timeout: postLimit,
		Transport: &http.Transport{DialContext: dial, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: headerLimit, MaxIdleConnsPerHost: 1, MaxIdleConns: 20,
			IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives idle connections up.
func (p *Poster) Close() { p.client.CloseIdleConnections() }

// Sign gives the header webhook-signature: HMAC-SHA256 over id, seconds and body.
func Sign(secret []byte, id string, at time.Time, body string) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Outcome is how a try went.
type Outcome struct {
	Status int    // of the answer; 0 is none
	Words  string // what went wrong, for people; "" is delivered
	Final  bool   // the address is not allowed: trying again is of no use
	Gone   bool   // 410: the receiver wants nothing more
}

// Post sends a message once. Only a status from 200 to 299 is delivered; a redirect is not followed. What goes wrong is part of the outcome.
func (p *Poster) Post(ctx context.Context, address string, m Message) Outcome {
	at := p.now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader([]byte(m.Body)))
	if err != nil {
		return Outcome{Words: "The address cannot be read.", Final: true}
	}
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Scratchpaper")
	h.Set("Webhook-Id", m.ID)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	signature := Sign(m.Secret, m.ID, at, m.Body)
	if m.Before != nil {
		signature += " " + Sign(m.Before, m.ID, at, m.Body)
	}
	h.Set("Webhook-Signature", signature)
	resp, err := p.client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerLimit)) // the status has said it
	return answered(resp.StatusCode)
}

func answered(status int) Outcome {
	o := Outcome{Status: status, Gone: status == http.StatusGone}
	switch {
	case status >= 200 && status < 300:
	case status >= 300 && status < 400:
		o.Words = fmt.Sprintf("It answers %d, a redirect, which is not followed. Enter the address that it leads to.", status)
	default:
		o.Words = fmt.Sprintf("It answers %d %s.", status, http.StatusText(status))
	}
	return o
}

// failed says why there was no answer, without the address, which may let somebody in.
func failed(err error) Outcome {
	var ours *core.Error
	if errors.As(err, &ours) {
		return Outcome{Words: ours.Sentence, Final: ours.Code == core.Forbidden}
	}
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var inside *url.Error
	switch {
	case errors.As(err, &dns):
		return Outcome{Words: "There is no machine of this name."}
	case errors.As(err, &timeout) && timeout.Timeout():
		return Outcome{Words: fmt.Sprintf("There was no answer within %s.", postLimit)}
	case errors.As(err, &inside):
		return Outcome{Words: "It could not be reached: " + inside.Err.Error() + "."}
	}
	return Outcome{Words: "It could not be reached."}
}
