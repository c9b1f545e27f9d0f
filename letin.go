package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"scratchpaper/handlers"
	"scratchpaper/internal/auth"
	"scratchpaper/internal/config"
	"scratchpaper/internal/core"
	"scratchpaper/internal/httpx"
	"scratchpaper/internal/mail"
)

// guardOf says which addresses connections may lead to: everything but metadata services where one person runs the app for themselves,
// else public ones and those that the operator names.
func guardOf(cfg config.Config) httpx.Guard {
	allowed, _ := config.Networks(cfg.AllowedAddresses) // Validate has looked at them
	return httpx.Guard{AllowPrivate: cfg.WayIn() == "", Allow: allowed}
}

// letIn says how people get in, as it is configured; without a word of it one person at this computer does.
func (a *app) letIn(d *handlers.Deps) error {
	if a.cfg.WayIn() == "" {
		return nil
	}
	proxies, err := config.Networks(a.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	d.Requests = handlers.NewRequestLimits(auth.NewLimits(a.redis), a.cfg.RequestsPerPerson, a.cfg.RequestsPerAddress)
	d.AgentKeys = handlers.AgentKeys(a.store)
	d.Config.Proxies, d.Config.Hosts = proxies, []string{a.cfg.BaseHost()}
	if a.cfg.WayIn() == config.Clerk {
		return a.letInByClerk(d)
	}
	return a.letInByPassword(d)
}

// letInByClerk lets in who has signed in at Clerk.
func (a *app) letInByClerk(d *handlers.Deps) error {
	k, err := handlers.NewClerk(a.store, auth.ClerkConfig{Publishable: a.cfg.ClerkPublishableKey, Secret: a.cfg.ClerkSecretKey, API: a.cfg.ClerkAPIURL, Frontend: a.cfg.ClerkFrontendURL,
		Parties: []string{a.cfg.Base()}})
	if err != nil {
		return err
	}
	d.Clerk = &handlers.ClerkSignIn{Clerk: k, WebhookSecret: a.cfg.ClerkWebhookSecret, Base: a.cfg.Base()}
	d.Identify = append(handlers.Programs(a.store, d.AgentKeys), k).Identify
	return nil
}

// letInByPassword lets in who has an account here.
func (a *app) letInByPassword(d *handlers.Deps) error {
	in := &handlers.SignIn{
		Passwords: auth.NewPasswords(a.cfg.PasswordMemory, a.cfg.PasswordRounds),
		Cookie:    auth.SessionCookie{Secure: strings.HasPrefix(a.cfg.Base(), "https:")},
		Lifetime:  a.cfg.SessionLifetime,
		Limits:    auth.NewLimits(a.redis),
		Base:      a.cfg.Base(),
	}
	if a.cfg.SMTPURL != "" {
		sender, err := mail.New(a.cfg.SMTPURL, a.cfg.MailFrom, a.log)
		if err != nil {
			return err
		}
		a.later(sender.Stop)
		in.Mail = sender.Send
	}
	if a.cfg.OIDCIssuer != "" {
		in.OIDC = &handlers.OIDCSignIn{Name: a.cfg.OIDCName, OIDC: auth.NewOIDC(auth.OIDCConfig{Issuer: a.cfg.OIDCIssuer, ClientID: a.cfg.OIDCClientID, ClientSecret: a.cfg.OIDCClientSecret,
			Redirect: a.cfg.Base() + "/sign-in/oidc/callback", After: a.cfg.Base() + "/sign-in"})}
	}
	d.SignIn = in
	d.Identify = append(handlers.Programs(a.store, d.AgentKeys), auth.Session{Cookie: in.Cookie, Find: a.store.SessionActor}).Identify
	return nil
}

// printSetUp prints the link that makes the first account, while there is none. It goes to the person who started the program, never into
// the log.
func (a *app) printSetUp(ctx context.Context) error {
	if a.cfg.WayIn() != config.Passwords {
		return nil
	}
	secret, hash := auth.NewSecret("")
	err := a.store.SetUpCode(ctx, hash)
	if core.CodeOf(err) == core.Conflict {
		return nil // there are accounts
	}
	if err == nil {
		fmt.Fprintf(os.Stderr, "Nobody has an account yet. Make the first one here, once, within a day: %s/setup#%s\n", a.cfg.Base(), secret)
	}
	return err
}

// letInSample lets connections lead to the sample of the built-in database, which lies on a loopback address.
func (a *app) letInSample() {
	host, port := a.local.SampleAddr()
	if ip, err := netip.ParseAddr(host); err == nil {
		a.guard.Sample = netip.AddrPortFrom(ip, uint16(port)) // #nosec G115 -- the port that the built-in database listens on
	}
}

// rotate makes a new key for agents' tokens.
func rotate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	a := newApp(cfg, log)
	defer a.close()
	if err := a.open(ctx); err != nil {
		return err
	}
	if _, err := a.store.RotateSigningKey(ctx, 0); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "Agents' tokens are signed with a new key. Nobody is signed out by it.")
	return nil
}

// takeOffFactor takes the second factor off the account of an address: for admins, and people in several organizations, who have lost theirs.
func takeOffFactor(ctx context.Context, cfg config.Config, log *slog.Logger, args []string) error {
	if len(args) != 1 {
		return core.Errorf(core.Invalid, "Say whose second factor is taken off: scratchpaper second-factor ana@example.org.")
	}
	a := newApp(cfg, log)
	defer a.close()
	if err := a.open(ctx); err != nil {
		return err
	}
	account, err := a.store.AccountByEmail(ctx, args[0])
	if err != nil {
		return err
	}
	if account.Person == "" {
		return core.Errorf(core.NotFound, "There is no account of %s.", args[0])
	}
	by := core.System("")
	by.Name = "The operator"
	if _, err := a.store.TakeOffSecondFactor(ctx, by, account.Person); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s signs in by password alone from now on, and is signed out everywhere.\n", account.Name)
	return nil
}
