package wordpress

import (
	"net/url"
	"regexp"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// The keys of the settings.
const (
	siteKey     = "site"
	userKey     = "user"
	passwordKey = "password"
	deletesKey  = "deletes"
)

// What a delete does.
const (
	trashOnly   = "to the trash; never for good"
	trashOrGone = "to the trash; for good where there is none"
	goneAlways  = "for good, always"
)

func settings() []connectors.Setting {
	return []connectors.Setting{
		{Key: siteKey, Label: "Site address", Kind: "url", Required: true, Check: checkSite,
			Help: "The address of the site's front page, such as https://example.org or https://example.org/blog."},
		{Key: userKey, Label: "User name", Kind: "text", Required: true, Check: checkLine,
			Help: "The user name or e-mail address that you sign in to WordPress with. An editor can change all posts; an author only their own."},
		{Key: passwordKey, Label: "Application password", Kind: "password", Secret: true, Required: true, Check: checkLine,
			Help: "Not your own password. In WordPress, open Users → Profile, scroll down to Application Passwords, type Scratchpaper, click “Add New Application Password”, and copy the 24 letters and digits that appear."},
		{Key: deletesKey, Label: "Deleted records go", Kind: "choice", Default: trashOnly, Choices: []string{trashOnly, trashOrGone, goneAlways}, Check: checkDeletes,
			Help: "WordPress has a trash for posts and pages, from which a revert brings them back. Media, categories and tags have none: they can only be deleted for good."},
	}
}

func checkSite(v string) error {
	_, err := siteAddress(v)
	return err
}

func checkLine(v string) error {
	if strings.ContainsAny(v, "\x00\r\n") {
		return core.Errorf(core.Invalid, "Fill in one line.")
	}
	return nil
}

func checkDeletes(v string) error {
	switch v {
	case "", trashOnly, trashOrGone, goneAlways:
		return nil
	}
	return core.Errorf(core.Invalid, "Choose what a delete does.")
}

// check looks at all settings; the first that does not fit is a Fault with its key.
func check(given connectors.Settings) error {
	for _, setting := range settings() {
		v := given[setting.Key]
		var err error
		if setting.Required && strings.TrimSpace(v) == "" {
			err = core.Errorf(core.Invalid, "%s is missing.", setting.Label)
		} else {
			err = setting.Check(v)
		}
		if err != nil {
			return &connectors.Fault{Kind: connectors.RefusedValue, Field: setting.Key, Words: core.SentenceOf(err)}
		}
	}
	return nil
}

var (
	schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	// What people copy from the address line beside the site's own address.
	insidePattern = regexp.MustCompile(`/(wp-json|wp-admin|wp-login\.php|index\.php|xmlrpc\.php)(/.*)?$`)
)

// siteAddress reads an address as people type it, without a slash at its end. Without a scheme it is https.
func siteAddress(v string) (*url.URL, error) {
	v = strings.TrimSpace(v)
	if v == "" {
		return nil, nil // whether it may be left out is not asked here
	}
	if !schemePattern.MatchString(v) {
		v = "https://" + v
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, core.Errorf(core.Invalid, "Fill in the address of the site, such as https://example.org.")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, core.Errorf(core.Invalid, "The address begins with https://, or http:// for a site on your own machine.")
	case u.User != nil:
		return nil, core.Errorf(core.Invalid, "Leave user name and password out of the address; they have fields of their own.")
	}
	u.RawQuery, u.Fragment, u.RawFragment, u.RawPath = "", "", "", ""
	u.Path = strings.TrimRight(insidePattern.ReplaceAllString(u.Path, ""), "/")
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// looksMade says whether a password has the form of those that WordPress makes for applications.
func looksMade(password string) bool {
	return madePattern.MatchString(strings.ReplaceAll(password, " ", ""))
}

var madePattern = regexp.MustCompile(`^[A-Za-z0-9]{24}$`)
