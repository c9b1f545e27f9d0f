package mail

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"scratchpaper/internal/core"
	"scratchpaper/internal/freeport"
	"scratchpaper/internal/mail/mailtest"
)

func mustSender(t *testing.T, address string) *Sender {
	t.Helper()
	s, err := New(address, "Scratchpaper <app@example.org>", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t)
	mustSender(t, server.URL).Send(Message{To: "ana@example.org", Subject: "Größe\r\nBcc: eve@example.org", Text: "Hallo =\n.\nhttps://example.org/reset#" + strings.Repeat("x", 90)})
	m := server.Next(t)
	if m.Header.Get("To") != "<ana@example.org>" || m.Header.Get("From") != `"Scratchpaper" <app@example.org>` || m.Header.Get("Bcc") != "" {
		t.Errorf("the headers are %v", m.Header)
	}
	if want := "Hallo =\r\n.\r\nhttps://example.org/reset#" + strings.Repeat("x", 90); strings.TrimSpace(m.Text) != want {
		t.Errorf("the text is %q", m.Text)
	}
}

func TestASenderThatCannotReachItsServerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := mustSender(t, "smtp://"+freeport.Address(freeport.Take(t)))
	start := time.Now()
	for range waiting + 10 {
		s.Send(Message{To: "ana@example.org", Subject: "x"})
	}
	s.Stop()
	s.Stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"example.org:25", "a@example.org"}, {"http://example.org", "a@example.org"}, {"smtp://example.org", "nobody"}, {"smtp://example.org", ""}} {
		if _, err := New(c[0], c[1], nil); core.CodeOf(err) != core.Invalid {
			t.Errorf("%v gives %v", c, err)
		}
	}
}

func TestNoCodeTravelsReadably(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t) // it offers no TLS
	s := mustSender(t, server.URL)
	s.host = "mail.example.org" // as a server elsewhere
	if err := s.send(Message{To: "ana@example.org", Subject: "x"}); err == nil || !strings.Contains(err.Error(), "no TLS") {
		t.Errorf("sending without TLS gives %v", err)
	}
}
