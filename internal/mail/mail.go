// Package mail sends plain-text messages by SMTP, behind the request that asks for them, so that an answer's time says nothing about
// whether a message is sent.
package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"strings"
	"sync"
	"time"

	"scratchpaper/internal/core"
)

const (
	sendLimit = 30 * time.Second // of one try
	tries     = 3
	waiting   = 200 // messages at most
)

// Message is one mail.
type Message struct{ To, Subject, Text string }

// Sender sends messages one after the other.
type Sender struct {
	server, host string
	user, word   string
	from         mail.Address
	implicitTLS  bool
	log          *slog.Logger
	pause        time.Duration // between two tries
	queue        chan Message
	stop         context.CancelFunc
	done         chan struct{}
	once         sync.Once
}

// New reads the server's address (smtp://user:password@host:587, where TLS is begun by STARTTLS, or smtps://…:465) and the address that
// messages come from, and begins to take messages. Codes: Invalid.
func New(address, from string, log *slog.Logger) (*Sender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, core.Errorf(core.Invalid, "SMTP_URL is not the address of a mail server (smtp://user:password@host:587, or smtps://…:465).")
	}
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "MAIL_FROM takes the address that mail comes from, such as Scratchpaper <app@example.org>.")
	}
	s := &Sender{host: u.Hostname(), user: u.User.Username(), from: *sender, implicitTLS: u.Scheme == "smtps", log: log, pause: 10 * time.Second,
		queue: make(chan Message, waiting), done: make(chan struct{})}
	s.word, _ = u.User.Password()
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "465", false: "587"}[s.implicitTLS]
	}
	s.server = net.JoinHostPort(s.host, port)
	ctx, stop := context.WithCancel(context.Background()) // #nosec G118 -- Stop calls it
	s.stop = stop
	go s.run(ctx)
	return s, nil
}

// Send takes a message to be sent soon. It is lost when too many wait, or when the program ends before it was sent; the log says so.
func (s *Sender) Send(m Message) {
	select {
	case s.queue <- m:
	default:
		s.log.Error("A message was not sent: too many wait. Look whether the mail server answers.")
	}
}

// Stop ends the sending, after at most one try.
func (s *Sender) Stop() {
	s.once.Do(s.stop)
	<-s.done
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			if n := len(s.queue); n > 0 {
				s.log.Warn("Messages were not sent before the stop.", "messages", n)
			}
			return
		case m := <-s.queue:
			s.sendSurely(ctx, m)
		}
	}
}

func (s *Sender) sendSurely(ctx context.Context, m Message) {
	for try := 1; ; try++ {
		err := s.send(m)
		if err == nil {
			return
		}
		if try == tries || ctx.Err() != nil {
			s.log.Error("A message was not sent.", "subject", m.Subject, "error", err)
			return
		}
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
		}
	}
}

func (s *Sender) send(m Message) error {
	to, err := mail.ParseAddress(m.To)
	if err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	conn, err := net.DialTimeout("tcp", s.server, sendLimit)
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	settings := &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	if s.implicitTLS {
		conn = tls.Client(conn, settings)
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	defer c.Close()
	if err := s.begin(c, settings); err != nil {
		return err
	}
	if err := c.Mail(s.from.Address); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := c.Rcpt(to.Address); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	if _, err := w.Write(s.written(*to, m)); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return c.Quit()
}

// begin makes the connection private and signs in. A server elsewhere that offers no TLS is refused: codes would travel readably.
func (s *Sender) begin(c *smtp.Client, settings *tls.Config) error {
	offered, _ := c.Extension("STARTTLS")
	switch {
	case s.implicitTLS:
	case offered:
		if err := c.StartTLS(settings); err != nil {
			return fmt.Errorf("mail server: %w", err)
		}
	case !loopback(s.host):
		return fmt.Errorf("the mail server %s offers no TLS", s.host)
	}
	if s.user == "" {
		return nil
	}
	if err := c.Auth(smtp.PlainAuth("", s.user, s.word, s.host)); err != nil {
		return fmt.Errorf("mail server refuses the sign-in: %w", err)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// written gives a message as it is sent. What people chose is encoded, so that no line of it becomes a header.
func (s *Sender) written(to mail.Address, m Message) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
		s.from.String(), to.String(), mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(m.Subject), " ")), time.Now().UTC().Format(time.RFC1123Z),
		core.NewID("msg"), s.from.Address[strings.LastIndex(s.from.Address, "@")+1:])
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write([]byte(strings.ReplaceAll(m.Text, "\n", "\r\n"))) // a bytes.Buffer takes everything
	_ = q.Close()
	return b.Bytes()
}
