package totp

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestTheVectorsOfTheRFC are those of RFC 6238, appendix B, for SHA-1, and of RFC 4226, appendix D.
func TestTheVectorsOfTheRFC(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for seconds, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got := Code(secret, Step(time.Unix(seconds, 0)), 8); got != want {
			t.Errorf("at %d the code is %s, want %s", seconds, got, want)
		}
	}
	for step, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := Code(secret, int64(step), Digits); got != want {
			t.Errorf("step %d has %s, want %s", step, got, want)
		}
	}
}

func TestACodeFitsItsMinuteOnly(t *testing.T) {
	t.Parallel()
	secret, now := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	for off, want := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		step, fits := Fits(secret, Code(secret, Step(now)+off, Digits), now)
		if fits != want || fits && step != Step(now)+off {
			t.Errorf("%d steps off it fits: %v, at %d", off, fits, step-Step(now))
		}
	}
	code := Code(secret, Step(now), Digits)
	if _, fits := Fits(secret, " "+code[:3]+" "+code[3:], now); !fits {
		t.Error("a code with a space does not fit")
	}
	for _, bad := range []string{"", code[:5], code + "0", "abcdef", "٠٥٠٤٧١"} {
		if _, fits := Fits(secret, bad, now); fits {
			t.Errorf("%q fits", bad)
		}
	}
}

func TestAPhoneReadsTheAddress(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(Address("Scratchpaper at a.example.org:8443", "ana+b@example.org", []byte("12345678901234567890")))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Scratchpaper at a.example.org 8443:ana+b@example.org" || q.Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" ||
		q.Get("issuer") != "Scratchpaper at a.example.org:8443" || strings.Contains(u.RawQuery, "+") {
		t.Errorf("it is %s", u)
	}
	if got := Text([]byte("12345")); got != "GEZD GNBV" {
		t.Errorf("as text it is %q", got)
	}
}

func TestRecoveryCodesAreReadAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		code, salt, hash := NewRecoveryCode()
		if seen[code] || len(code) != 19 || !IsRecovery(code) || IsRecovery("123 456") {
			t.Fatalf("a code is %q", code)
		}
		seen[code] = true
		typed := strings.NewReplacer("-", " ", "0", "O", "1", "l").Replace(strings.ToUpper(code))
		if !bytes.Equal(RecoveryHash(salt, typed), hash) {
			t.Errorf("%q is not taken as %q", typed, code)
		}
		if bytes.Equal(RecoveryHash([]byte("another salt"), code), hash) {
			t.Error("the salt does nothing")
		}
	}
}
