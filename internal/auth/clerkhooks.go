package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scratchpaper/internal/core"
)

// hookAge is how old a webhook may be, and how far its clock may be ahead.
const hookAge = 5 * time.Minute

// ClerkEvent is what Clerk told of by a webhook.
type ClerkEvent struct {
	Message            string // id: the same when it is sent again
	Type               string // user.updated, organizationMembership.deleted, session.revoked …
	User, Org, Session string // ids at Clerk
	Name, Email        string // of a user, or of an organization
	Role               core.Role
	At                 time.Time // of the change
}

// CheckHook checks a webhook's signature (svix: HMAC-SHA256 over id, time and body, one of several) and reads it. body is as it came.
// secret begins with whsec_. Codes: Unauthorized, Malformed.
func CheckHook(secret string, h http.Header, body []byte, now time.Time) (ClerkEvent, error) {
	refused := core.Errorf(core.Unauthorized, "This webhook is not signed by the sign-in service, or it is too old.")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	id, stamp := h.Get("svix-id"), h.Get("svix-timestamp")
	seconds, badTime := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(key) == 0 || badTime != nil || id == "" || len(id) > 200 {
		return ClerkEvent{}, refused
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > hookAge || age < -hookAge {
		return ClerkEvent{}, refused
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want, good := mac.Sum(nil), false
	for _, one := range strings.Fields(h.Get("svix-signature")) {
		version, encoded, _ := strings.Cut(one, ",")
		if got, err := base64.StdEncoding.DecodeString(encoded); version == "v1" && err == nil && hmac.Equal(got, want) {
			good = true
		}
	}
	if !good {
		return ClerkEvent{}, refused
	}
	e, err := readHook(body)
	e.Message = id
	return e, err
}

func readHook(body []byte) (ClerkEvent, error) {
	var envelope struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return ClerkEvent{}, core.Wrap(err, core.Malformed, "The webhook is not the JSON document that is asked for.")
	}
	e := ClerkEvent{Type: envelope.Type}
	kind, _, _ := strings.Cut(envelope.Type, ".")
	var err error
	switch kind {
	case "user":
		var u clerkUser
		err = json.Unmarshal(envelope.Data, &u)
		e.User, e.At = u.ID, time.UnixMilli(u.UpdatedAt)
		e.Name, e.Email = u.named()
	case "organization":
		var o struct {
			ID        string `json:"id"`
			Name      string `json:"name"`
			UpdatedAt int64  `json:"updated_at"`
		}
		err = json.Unmarshal(envelope.Data, &o)
		e.Org, e.Name, e.At = o.ID, o.Name, time.UnixMilli(o.UpdatedAt)
	case "organizationMembership":
		var m struct {
			Role         string `json:"role"`
			UpdatedAt    int64  `json:"updated_at"`
			Organization struct {
				ID string `json:"id"`
			} `json:"organization"`
			PublicUserData struct {
				UserID string `json:"user_id"`
			} `json:"public_user_data"`
		}
		err = json.Unmarshal(envelope.Data, &m)
		e.Org, e.User, e.Role, e.At = m.Organization.ID, m.PublicUserData.UserID, clerkRole(m.Role), time.UnixMilli(m.UpdatedAt)
	case "session":
		var s struct {
			ID string `json:"id"`
		}
		err = json.Unmarshal(envelope.Data, &s)
		e.Session = s.ID
	}
	if err != nil {
		return e, core.Wrap(err, core.Malformed, "The webhook is not the JSON document that is asked for.")
	}
	return e, nil
}
