package handlers

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"scratchpaper/internal/core"
	"scratchpaper/store"
	"scratchpaper/views"
)

// webhookRoutes lists the addresses of webhooks.
func (s *Server) webhookRoutes(e *echo.Echo) {
	const hook = "/settings/webhooks/:webhook"
	e.GET("/settings/webhooks", s.showWebhooks)
	e.POST("/settings/webhooks", s.createWebhook)
	e.GET(hook, s.showWebhook)
	e.POST(hook, s.changeWebhook)
	e.GET(hook+"/deliveries", s.showDeliveries)
	e.POST(hook+"/test", s.testWebhook)
	e.POST(hook+"/secret", s.renewWebhookSecret)
	e.POST(hook+"/delete", s.deleteWebhook)
	e.POST(hook+"/deliveries/:delivery/redeliver", s.redeliver)
}

// deliveriesShown is how many of a webhook's last deliveries its page shows.
const deliveriesShown = 50

func (s *Server) showWebhooks(c echo.Context) error {
	return s.answerWebhooks(c, views.WebhookForm{Events: []string{"publish.done", "publish.failed"}}, nil)
}

func (s *Server) answerWebhooks(c echo.Context, f views.WebhookForm, wrong error) error {
	all, err := s.store.Webhooks(ctxOf(c), actor(c))
	if err != nil {
		return err
	}
	p, err := s.page(c, "Webhooks", "settings")
	if err != nil {
		return err
	}
	status, err := shownAgain(wrong, f.Place)
	if err != nil {
		return err
	}
	v := views.WebhooksView{Form: f}
	for _, w := range all {
		v.Lines = append(v.Lines, webhookLine(w))
	}
	return s.render(c, status, views.Webhooks(p, v))
}

func webhookLine(w store.Webhook) views.WebhookLine {
	l := views.WebhookLine{ID: w.ID, Host: w.Address, Address: w.Address, Events: w.Events, Active: w.Active, Stopped: w.StoppedAt, Failing: w.FailingSince}
	if u, err := url.Parse(w.Address); err == nil {
		l.Host = u.Host
	}
	return l
}

func webhookForm(c echo.Context) (f views.WebhookForm, err error) {
	if err := form(c, "events"); err != nil {
		return f, err
	}
	active, err := formBool(c, "active")
	return views.WebhookForm{Address: c.FormValue("address"), Events: c.Request().PostForm["events"], Active: active}, err
}

// createWebhook makes a webhook, which is on, and shows its secret this once.
func (s *Server) createWebhook(c echo.Context) error {
	f, err := webhookForm(c)
	if err != nil {
		return err
	}
	w, secret, err := s.store.CreateWebhook(ctxOf(c), actor(c), store.WebhookChange{Address: f.Address, Events: f.Events, Active: true})
	if err != nil {
		return s.answerWebhooks(c, f, err)
	}
	return s.answerWebhook(c, w, views.WebhookView{Secret: secret, Form: webhookFormOf(w)}, nil)
}

func webhookFormOf(w store.Webhook) views.WebhookForm {
	return views.WebhookForm{Address: w.Address, Events: w.Events, Active: w.Active}
}

func (s *Server) showWebhook(c echo.Context) error {
	w, err := s.store.WebhookByID(ctxOf(c), actor(c), c.Param("webhook"))
	if err != nil {
		return err
	}
	return s.answerWebhook(c, w, views.WebhookView{Form: webhookFormOf(w)}, nil)
}

func (s *Server) answerWebhook(c echo.Context, w store.Webhook, v views.WebhookView, wrong error) error {
	if err := s.fillWebhook(c, w, &v); err != nil {
		return err
	}
	p, err := s.page(c, v.Line.Host, "settings")
	if err != nil {
		return err
	}
	status, err := shownAgain(wrong, v.Form.Place)
	if err != nil {
		return err
	}
	return s.render(c, status, views.Webhook(p, v))
}

// fillWebhook fills in what is kept of a webhook and its deliveries.
func (s *Server) fillWebhook(c echo.Context, w store.Webhook, v *views.WebhookView) error {
	deliveries, err := s.store.Deliveries(ctxOf(c), actor(c), w.ID, deliveriesShown)
	if err != nil {
		return err
	}
	v.Line, v.Words, v.BeforeUntil = webhookLine(w), w.StoppedWords, w.BeforeUntil
	for _, d := range deliveries {
		v.Deliveries = append(v.Deliveries, views.DeliveryLine{ID: d.ID, Event: d.Event, State: d.State, Words: d.Words, Body: indented(d.Body), Tries: d.Tries, Status: d.Status,
			Made: d.CreatedAt, Tried: d.TriedAt, Next: d.NextAt})
	}
	return nil
}

// indented makes JSON easier to read.
func indented(body string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(body), "", "  ") != nil {
		return body
	}
	return b.String()
}

// showDeliveries is the part of a webhook's page that changes by itself.
func (s *Server) showDeliveries(c echo.Context) error {
	w, err := s.store.WebhookByID(ctxOf(c), actor(c), c.Param("webhook"))
	if err != nil {
		return err
	}
	var v views.WebhookView
	if err := s.fillWebhook(c, w, &v); err != nil {
		return err
	}
	return s.render(c, http.StatusOK, views.WebhookDeliveries(v))
}

func (s *Server) changeWebhook(c echo.Context) error {
	f, err := webhookForm(c)
	if err != nil {
		return err
	}
	w, err := s.store.WebhookByID(ctxOf(c), actor(c), c.Param("webhook"))
	if err != nil {
		return err
	}
	if err := s.store.ChangeWebhook(ctxOf(c), actor(c), w.ID, store.WebhookChange{Address: f.Address, Events: f.Events, Active: f.Active}); err != nil {
		return s.answerWebhook(c, w, views.WebhookView{Form: f}, err)
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved."})
	return see(c, views.WebhookAddress(w.ID))
}

func (s *Server) testWebhook(c echo.Context) error {
	id := c.Param("webhook")
	if err := s.store.TestWebhook(ctxOf(c), actor(c), id); err != nil {
		return s.refusedWebhook(c, err)
	}
	return see(c, views.WebhookAddress(id))
}

// renewWebhookSecret makes another secret, and shows it this once.
func (s *Server) renewWebhookSecret(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if _, err := s.store.WebhookByID(ctxOf(c), actor(c), c.Param("webhook")); err != nil {
		return err
	}
	kept, err := time.ParseDuration(c.FormValue("keep"))
	if err != nil {
		return core.FieldErrorf("/keep", "Say for how long the former secret goes on, as in 24h.")
	}
	secret, err := s.store.RenewWebhookSecret(ctxOf(c), actor(c), c.Param("webhook"), kept)
	if err != nil {
		return err
	}
	w, err := s.store.WebhookByID(ctxOf(c), actor(c), c.Param("webhook"))
	if err != nil {
		return err
	}
	return s.answerWebhook(c, w, views.WebhookView{Secret: secret, Renewed: true, Form: webhookFormOf(w)}, nil)
}

// refusedWebhook says on a webhook's page why something was not done, where the webhook is there.
func (s *Server) refusedWebhook(c echo.Context, err error) error {
	if core.CodeOf(err) != core.Conflict {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "error", Text: core.SentenceOf(err)})
	return see(c, views.WebhookAddress(c.Param("webhook")))
}

func (s *Server) deleteWebhook(c echo.Context) error {
	if err := s.store.DeleteWebhook(ctxOf(c), actor(c), c.Param("webhook")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The webhook is deleted. It is told nothing any more."})
	return see(c, "/settings/webhooks")
}

func (s *Server) redeliver(c echo.Context) error {
	id := c.Param("webhook")
	if err := s.store.Redeliver(ctxOf(c), actor(c), id, c.Param("delivery")); err != nil {
		return s.refusedWebhook(c, err)
	}
	return see(c, views.WebhookAddress(id))
}
