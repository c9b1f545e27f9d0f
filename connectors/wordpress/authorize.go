package wordpress

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"scratchpaper/connectors"
)

// applicationID names this app at every site, so that people find its passwords; WordPress takes a UUID.
const applicationID = "6f1d3f52-9f5e-4b43-8a55-1c7e0c1f5d0e"

var authorizing = struct{ After, Help string }{siteKey,
	"Takes you to WordPress, which asks whether Scratchpaper may come in, and brings you back with the user name and a password of its own. Or fill in both by hand."}

// Authorize leads to the page "Authorize Application" that the site names, on its own host.
func (*Connector) Authorize(ctx context.Context, given connectors.Settings, env connectors.Environment, back string) (connectors.Authorization, error) {
	none := connectors.Authorization{}
	site, err := siteAddress(given[siteKey])
	if err != nil || site == nil {
		return none, &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Words: "Fill in the address of the site first, such as https://example.org."}
	}
	s := newSession(site, given, env)
	defer s.Close()
	if _, err := s.apiRoot(ctx); err != nil {
		return none, err
	}
	page, err := url.Parse(s.about.authorization())
	if err == nil && site.Scheme == "https" && page.Scheme == "http" {
		page.Scheme = "https" // a site that does not know that it is behind a proxy
	}
	switch {
	case err != nil || page.Host == "":
		return none, &connectors.Fault{Kind: connectors.SignedOut, Unsent: true,
			Words: "Application passwords are switched off at this site. WordPress offers them only over https, and a security plug-in may have switched them off."}
	case page.Scheme != "https" && page.Scheme != "http" || !sameSite(site, page):
		return none, &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Unsent: true,
			Words: "The site asks its people at another address, " + page.Scheme + "://" + page.Host + ". If that is your site, give it as the site's address."}
	}
	out := connectors.Authorization{}
	q := page.Query()
	q.Set("app_name", "Scratchpaper "+time.Now().UTC().Format(time.DateTime)) // from 5.7 on a site takes no name twice
	q.Set("app_id", applicationID)
	if sendsBack(site, back) {
		q.Set("success_url", back)
	} else {
		out.ByHand = "WordPress sends passwords back to https addresses only, and this app is open over http. Say yes there, and copy the password that it shows into the field below, with your user name."
	}
	page.RawQuery = q.Encode()
	out.Address = page.String()
	return out, nil
}

// sendsBack says whether a site sends browsers back to an address: over plain HTTP only one of a developer's own machine does (WordPress
// 6.3.2, and 6.1 with its security updates).
func sendsBack(site *url.URL, back string) bool {
	return strings.HasPrefix(back, "https://") || onThisMachine(site.Hostname())
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Authorized reads what WordPress puts behind the address that it sends the browser to.
func (*Connector) Authorized(given connectors.Settings, came url.Values) (connectors.Settings, error) {
	if came.Get("success") == "false" {
		return nil, &connectors.Fault{Kind: connectors.NotAllowed, Words: "You said no at the site, or it lets no application in. Nothing was changed there."}
	}
	site, err := siteAddress(given[siteKey])
	from, wrong := url.Parse(came.Get("site_url"))
	user, password := came.Get("user_login"), came.Get("password")
	switch {
	case err != nil || site == nil || wrong != nil || bareHost(from) != bareHost(site):
		return nil, &connectors.Fault{Kind: connectors.RefusedValue, Field: siteKey, Words: "The answer came from another site than the one that was asked. It was not kept."}
	case user == "" || len(user) > 200 || checkLine(user) != nil || !looksMade(password):
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: "The site answered without a user name and an application password. Try again, or fill them in by hand."}
	}
	return connectors.Settings{userKey: user, passwordKey: password}, nil
}
