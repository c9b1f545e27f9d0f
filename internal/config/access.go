package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"scratchpaper/internal/core"
)

// The ways in: accounts that are kept here, and Clerk.
const (
	Passwords = "passwords"
	Clerk     = "clerk"
)

// WayIn gives how people sign in; "" is nobody does.
func (c Config) WayIn() string {
	if c.SignIn == "" && c.ClerkSecretKey != "" {
		return Clerk
	}
	return c.SignIn
}

func (c Config) loopback() bool { return isLoopback(c.Host) }

// isAddress says whether somebody can listen at an address: HOST:PORT, where the host is an IP address.
func isAddress(address string) bool {
	_, err := netip.ParseAddrPort(address)
	return err == nil
}

// isWebAddress says whether an address begins with http:// or https:// and has a host.
func isWebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Base gives where people open the app, without a slash at its end.
func (c Config) Base() string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	return "http://" + net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// BaseHost gives the host name of Base, without port.
func (c Config) BaseHost() string {
	u, err := url.Parse(c.Base())
	if err != nil {
		return "" // Validate has looked at it
	}
	return u.Hostname()
}

// Networks reads a list of networks; an address stands for itself alone. Codes: Invalid.
func Networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, one := range list {
		p, err := netip.ParsePrefix(one)
		if a, bad := netip.ParseAddr(one); err != nil && bad == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, core.Errorf(core.Invalid, "%s is not a network such as 10.0.0.0/8.", one)
		}
		out = append(out, p)
	}
	return out, nil
}

// validateOIDC checks the settings of an OpenID Connect provider. Codes: Invalid.
func (c Config) validateOIDC() error {
	if c.OIDCIssuer == "" {
		if c.OIDCClientID != "" || c.OIDCClientSecret != "" {
			return core.Errorf(core.Invalid, "OIDC_CLIENT_ID is that of a client at OIDC_ISSUER: set both, or none.")
		}
		return nil
	}
	u, err := url.Parse(c.OIDCIssuer)
	switch {
	case err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return core.Errorf(core.Invalid, "OIDC_ISSUER takes an https address, as the provider's discovery document names it.")
	case c.OIDCClientID == "":
		return core.Errorf(core.Invalid, "OIDC_ISSUER needs the client that this app is there: OIDC_CLIENT_ID.")
	case c.WayIn() != Passwords:
		return core.Errorf(core.Invalid, "OIDC_ISSUER is beside accounts that are kept here: set SIGN_IN to passwords.")
	}
	return nil
}

// validateAccess checks the settings of who gets in. Codes: Invalid.
func (c Config) validateAccess() error {
	u, err := url.Parse(c.BaseURL)
	if err := c.validateOIDC(); err != nil {
		return err
	}
	switch {
	case c.SignIn != "" && c.SignIn != Passwords && c.SignIn != Clerk:
		return core.Errorf(core.Invalid, "SIGN_IN takes passwords, clerk, or nothing.")
	case (c.ClerkPublishableKey == "") != (c.ClerkSecretKey == ""):
		return core.Errorf(core.Invalid, "CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY belong together: set both, or none.")
	case c.SignIn == Clerk && c.ClerkSecretKey == "":
		return core.Errorf(core.Invalid, "SIGN_IN is clerk, which needs CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY.")
	case c.SignIn == Passwords && c.ClerkSecretKey != "":
		return core.Errorf(core.Invalid, "SIGN_IN is passwords, and there are keys of Clerk: people sign in by one of them. Leave the other out.")
	case c.BaseURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil):
		return core.Errorf(core.Invalid, "BASE_URL takes an address such as https://scratchpaper.example.org, without anything behind the host and port.")
	case c.BaseURL != "" && c.WayIn() == "" && !isLoopback(u.Hostname()):
		return core.Errorf(core.Invalid, "BASE_URL leads here from elsewhere, but nobody has to sign in. Set SIGN_IN to passwords, or leave BASE_URL out.")
	case c.WayIn() != "" && c.BaseURL == "" && !c.loopback():
		return core.Errorf(core.Invalid, "With SIGN_IN and HOST %s the app has to know where people open it: set BASE_URL, as in https://scratchpaper.example.org.", c.Host)
	case c.BaseURL != "" && u.Scheme == "http" && !isLoopback(u.Hostname()):
		return core.Errorf(core.Invalid, "BASE_URL is %s: passwords and sessions would travel readably. Put a proxy with TLS in front, and name its https address.", c.BaseURL)
	case c.SessionLifetime < time.Minute || c.SessionIdle < time.Minute:
		return core.Errorf(core.Invalid, "SESSION_LIFETIME and SESSION_IDLE take at least 1m.")
	case c.PasswordMemory < 64 || c.PasswordMemory > 4<<20:
		return core.Errorf(core.Invalid, "PASSWORD_MEMORY takes 64 to 4194304 KiB; less than 19456 is for tests only.")
	case c.PasswordRounds < 1 || c.PasswordRounds > 100:
		return core.Errorf(core.Invalid, "PASSWORD_ROUNDS takes 1 to 100.")
	case (c.SMTPURL == "") != (c.MailFrom == ""):
		return core.Errorf(core.Invalid, "SMTP_URL and MAIL_FROM belong together: set both, or none.")
	}
	for name, list := range map[string][]string{"TRUSTED_PROXIES": c.TrustedProxies, "ALLOWED_ADDRESSES": c.AllowedAddresses} {
		if _, err := Networks(list); err != nil {
			return core.Wrap(err, core.Invalid, "%s: %s", name, core.SentenceOf(err))
		}
	}
	return nil
}
