package store

import (
	"testing"

	"scratchpaper/internal/core"
)

// TestAnIdentityIsRecognisedByAVerifiedAddressOnly looks at who becomes whom.
func TestAnIdentityIsRecognisedByAVerifiedAddressOnly(t *testing.T) {
	t.Parallel()
	s := mustStore(t)
	ctx, by := t.Context(), core.Local()
	invite := func(email string, hash string) {
		t.Helper()
		if _, err := s.Invite(ctx, by, email, core.Editor, []byte(hash)); err != nil {
			t.Fatal(err)
		}
	}
	for what, id := range map[string]Identity{
		"nobody's address":      {Issuer: "i", Subject: "1", Email: "eve@example.org", Verified: true},
		"no address":            {Issuer: "i", Subject: "2", Verified: true},
		"what is no address":    {Issuer: "i", Subject: "3", Email: "eve", Verified: true},
		"an unverified address": {Issuer: "i", Subject: "4", Email: "ben@example.org"},
	} {
		invite("ben@example.org", what)
		if person, _, err := s.SignInByIdentity(ctx, id); core.CodeOf(err) != core.Forbidden {
			t.Errorf("%s becomes %q: %v", what, person, err)
		}
	}
	ben, org, err := s.SignInByIdentity(ctx, Identity{Issuer: "i", Subject: "5", Email: "Ben@example.org", Name: "Ben", Verified: true})
	if err != nil || org != by.Org {
		t.Fatalf("an invited person: %q, %q, %v", ben, org, err)
	}
	again, _, err := s.SignInByIdentity(ctx, Identity{Issuer: "i", Subject: "5", Email: "other@example.org"})
	if err != nil || again != ben {
		t.Errorf("known by the subject, whatever the address: %q, %v", again, err)
	}
	if other, _, err := s.SignInByIdentity(ctx, Identity{Issuer: "j", Subject: "5", Email: "eve@example.org", Verified: true}); err == nil {
		t.Errorf("the same subject at another issuer is %q", other)
	}
	linked, _, err := s.SignInByIdentity(ctx, Identity{Issuer: "j", Subject: "6", Email: "ben@example.org", Verified: true})
	if err != nil || linked != ben {
		t.Errorf("a member's verified address at another provider: %q, %v", linked, err)
	}
}
