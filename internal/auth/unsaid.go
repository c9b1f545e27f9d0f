package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/clerk/clerk-sdk-go/v2"
	"golang.org/x/oauth2"
)

// Whoever is asked with a secret may say back what they were asked with, and errors go into the log: these give an error without their words.

// oauthCode is the form of an error's code in OAuth (RFC 6749, 5.2), as in invalid_grant.
var oauthCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// unsaidByProvider is for an error of an OpenID Connect provider.
func unsaidByProvider(err error) error {
	var said *oauth2.RetrieveError
	switch {
	case !errors.As(err, &said) || said.Response == nil:
		return err
	case oauthCode.MatchString(said.ErrorCode):
		return fmt.Errorf("the provider answers %d with %s", said.Response.StatusCode, said.ErrorCode)
	}
	return fmt.Errorf("the provider answers %d", said.Response.StatusCode)
}

// unsaidByClerk is for an error of Clerk's, whose client makes an error of any body that it does not know.
func unsaidByClerk(err error) error {
	var said *clerk.APIErrorResponse
	var unreached *url.Error
	switch {
	case err == nil || errors.As(err, &unreached) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &said):
		return fmt.Errorf("it answers %d", said.HTTPStatusCode)
	}
	return errors.New("it answers with something that is not an error of its own")
}
