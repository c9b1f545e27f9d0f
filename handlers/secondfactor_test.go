package handlers

import (
	"encoding/base32"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rsc.io/qr"

	"scratchpaper/internal/core"
	"scratchpaper/internal/totp"
	"scratchpaper/views"
)

// phone makes codes. The server is let forget which it took before, so that a test need not wait for the next.
type phone struct {
	*visitor
	secret []byte
}

func (p *phone) code(t *testing.T) string {
	t.Helper()
	if _, err := p.store.Pool().Exec(t.Context(), `update second_factors set last_step = 0`); err != nil {
		t.Fatal(err)
	}
	return totp.Code(p.secret, totp.Step(time.Now()), totp.Digits)
}

var keyShown = regexp.MustCompile(`select-all">([A-Z2-7 ]+)</p>`)
var codeShown = regexp.MustCompile(`<li>([0-9a-z]{4}(?:-[0-9a-z]{4}){3})</li>`)

// mustFactor sets a second factor up by the pages, and gives the phone and the recovery codes.
func (v *visitor) mustFactor(t *testing.T) (*phone, []string) {
	t.Helper()
	v.post(t, factorPath, "current", goodPassword).is(t, http.StatusSeeOther)
	a := v.get(t, factorPath)
	m := keyShown.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no key is shown: %d %s", a.status, a.body)
	}
	p := &phone{v, mustKeyText(t, m[1])}
	a = v.post(t, factorPath+"/confirm", "code", p.code(t))
	a.is(t, 200, "shown this once")
	var codes []string
	for _, m := range codeShown.FindAllStringSubmatch(a.body, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) != totp.RecoveryCodes {
		t.Fatalf("%d recovery codes are shown: %s", len(codes), a.body)
	}
	return p, codes
}

func mustKeyText(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func figure(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mustHalf shows the password, and is asked for the second factor.
func (v *visitor) mustHalf(t *testing.T) {
	t.Helper()
	a := v.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword, "back", "/jobs")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in/code?back=%2Fjobs" || v.session() != "" {
		t.Fatalf("the password answers %d to %s, with the session %q", a.status, a.header.Get("Location"), v.session())
	}
}

func TestASecondFactorIsSetUpAndAskedForAfterThePassword(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	h.withMail()
	ana := h.mustSetUp(t)
	elsewhere := h.visitor(t)
	elsewhere.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword).is(t, http.StatusSeeOther)
	ana.get(t, factorPath).is(t, 200, "Set it up")
	ana.post(t, factorPath, "current", "wrong").is(t, 422, "not your current password")
	ana.post(t, factorPath+"/confirm", "code", "123456").is(t, 409, "No second factor is being set up")
	phone, codes := ana.mustFactor(t)
	if m := <-h.mail; !strings.Contains(m.Subject, "second factor") || m.To != "Ana@example.org" {
		t.Errorf("she is told %v", m)
	}
	a := ana.get(t, factorPath)
	a.is(t, 200, "10 recovery codes are left")
	a.lacks(t, append(codes, totp.Text(phone.secret), "QR code")...)
	ana.get(t, "/account").is(t, 200, "Second factor", ">on<")
	elsewhere.get(t, "/jobs").is(t, http.StatusSeeOther) // it began without

	v := h.visitor(t)
	v.get(t, "/sign-in/code").is(t, http.StatusSeeOther)
	v.mustHalf(t)
	v.get(t, "/jobs").is(t, http.StatusSeeOther) // half a sign-in is none
	v.get(t, "/sign-in/code?back=/jobs").is(t, 200, `autocomplete="one-time-code"`, `value="/jobs"`)
	v.post(t, "/sign-in/code", "code", "000000").is(t, 422, "lets nobody in")
	if a := v.post(t, "/sign-in/code", "code", phone.code(t), "back", "/jobs"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/jobs" || v.session() == "" {
		t.Fatalf("the code answers %d to %s: %s", a.status, a.header.Get("Location"), a.body)
	}
	v.get(t, "/jobs").is(t, 200)
	v.post(t, "/sign-in/code", "code", phone.code(t)).is(t, http.StatusSeeOther) // what had shown the password is used up
	ana.get(t, "/audit").is(t, 200, "second factor on", "second factor refused", "wrong code", "password and a code")
}

func TestACodeLetsSomebodyInOnce(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	phone, codes := h.mustSetUp(t).mustFactor(t)
	code := phone.code(t)
	// Several browsers at once that know password and code: one is in.
	var all []*visitor
	for range 5 {
		v := h.visitor(t)
		v.mustHalf(t)
		all = append(all, v)
	}
	var at sync.WaitGroup
	for _, v := range all {
		at.Go(func() { v.post(t, "/sign-in/code", "code", code) })
	}
	at.Wait()
	in := 0
	for _, v := range all {
		if v.session() != "" {
			in++
		}
	}
	if in != 1 {
		t.Errorf("one code lets %d in", in)
	}
	v := h.visitor(t)
	v.mustHalf(t)
	v.post(t, "/sign-in/code", "code", totp.Code(phone.secret, totp.Step(time.Now())-1, totp.Digits)).is(t, 422) // one from before it
	phone.get(t, "/audit").is(t, 200, "code used before")

	v.post(t, "/sign-in/code", "code", strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))).is(t, http.StatusSeeOther)
	v.get(t, "/account").is(t, 200, "You used a recovery code up: 9 are left")
	w := h.visitor(t)
	w.mustHalf(t)
	w.post(t, "/sign-in/code", "code", codes[3]).is(t, 422, "lets nobody in")
	phone.get(t, "/audit").is(t, 200, "recovery code used", "recovery code used before")
	a := v.post(t, factorPath+"/codes", "code", codes[4])
	a.is(t, 200, "shown this once")
	a.lacks(t, codes...)
	w.post(t, "/sign-in/code", "code", codes[5]).is(t, 422)
	v.post(t, factorPath+"/remove", "code", "123456").is(t, 422, "lets nobody in")
	v.post(t, factorPath+"/remove", "code", codeShown.FindStringSubmatch(a.body)[1]).is(t, http.StatusSeeOther)
	w.post(t, "/sign-in", "email", "ana@example.org", "password", goodPassword).is(t, http.StatusSeeOther)
	w.get(t, "/jobs").is(t, 200)
}

func TestGuessingCodesIsSlowed(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	phone, codes := h.mustSetUp(t).mustFactor(t)
	v := h.visitor(t)
	v.mustHalf(t)
	for range codesOfPerson.Tries {
		v.post(t, "/sign-in/code", "code", "000000").is(t, 422)
	}
	for _, code := range []string{phone.code(t), codes[0]} {
		v.post(t, "/sign-in/code", "code", code).is(t, 429, "too many attempts", "Try again in")
	}
	w := h.visitor(t) // another browser is no way around
	w.mustHalf(t)
	w.post(t, "/sign-in/code", "code", phone.code(t)).is(t, 429)
	phone.post(t, factorPath+"/remove", "code", phone.code(t)).is(t, 429)
	h.in.Limits.Forget(t.Context(), codesOfPerson, core.LocalPerson)
	w.post(t, "/sign-in/code", "code", phone.code(t)).is(t, http.StatusSeeOther)
}

func TestANewPasswordDoesNotGetAroundTheSecondFactor(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben := ana.mustJoin(t, "ben@example.org", "editor")
	phone, _ := ben.mustFactor(t)
	half := h.visitor(t)
	half.post(t, "/sign-in", "email", "ben@example.org", "password", goodPassword).is(t, http.StatusSeeOther)
	a := ana.post(t, "/members/"+phone.person(t)+"/reset")
	code := linkShown.FindStringSubmatch(a.body)[2]
	v := h.visitor(t)
	a = v.post(t, "/reset", "code", code, "password", "seven copper ladles")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in/code" || v.session() != "" {
		t.Fatalf("the reset answers %d to %s", a.status, a.header.Get("Location"))
	}
	half.post(t, "/sign-in/code", "code", phone.code(t)).is(t, http.StatusSeeOther) // it had shown the old password
	if half.session() != "" {
		t.Error("the old password and a code let somebody in")
	}
	v.post(t, "/sign-in/code", "code", phone.code(t)).is(t, http.StatusSeeOther)
	v.get(t, "/account").is(t, 200, "Your new password is kept")
	// An invitation that is accepted with the password asks too.
	ana.post(t, "/organizations", "name", "Pots Ltd").is(t, http.StatusSeeOther)
	invited := ana.mustInvite(t, "ben@example.org", "viewer")
	w := h.visitor(t)
	w.post(t, "/invitation/join", "code", invited, "password", "seven copper ladles").is(t, http.StatusSeeOther)
	if w.session() != "" {
		t.Error("an invitation gets around the second factor")
	}
	w.post(t, "/sign-in/code", "code", phone.code(t)).is(t, http.StatusSeeOther)
	w.get(t, "/account").is(t, 200, "Pots Ltd")
}

// person gives the id of the only person with a second factor.
func (p *phone) person(t *testing.T) (id string) {
	t.Helper()
	if err := p.store.Pool().QueryRow(t.Context(), `select person_id from second_factors where secret = $1`, p.secret).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnAdminTakesTheSecondFactorOffWhoLostIt(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben, cleo := ana.mustJoin(t, "ben@example.org", "editor"), ana.mustJoin(t, "cleo@example.org", "publisher")
	h.withMail()
	phone, _ := ben.mustFactor(t)
	<-h.mail
	address := "/members/" + phone.person(t) + "/second-factor/remove"
	ana.get(t, "/members").is(t, 200, address)
	cleo.post(t, address).is(t, http.StatusForbidden)
	ana.post(t, "/members/"+core.LocalPerson+"/second-factor/remove").is(t, 409, "Turn your own")
	ana.post(t, address).is(t, http.StatusSeeOther)
	if m := <-h.mail; m.To != "ben@example.org" || !strings.Contains(m.Subject, "taken off") {
		t.Errorf("he is told %v", m)
	}
	ana.get(t, "/audit").is(t, 200, "second factor taken off")
	ana.post(t, address).is(t, 404, "has no second factor")
	ben.get(t, "/jobs").is(t, http.StatusSeeOther)
	ben.post(t, "/sign-in", "email", "ben@example.org", "password", goodPassword).is(t, http.StatusSeeOther)
	ben.get(t, "/jobs").is(t, 200)

	// Of somebody who is in another organization too, whose admins count on it, only the operator does.
	phone, _ = ben.mustFactor(t)
	<-h.mail
	h.in.Mail = nil
	ana.post(t, "/organizations", "name", "Pots Ltd").is(t, http.StatusSeeOther)
	invited := ana.mustInvite(t, "ben@example.org", "viewer")
	ben.post(t, "/invitation/join", "code", invited, "password", goodPassword).is(t, http.StatusSeeOther)
	ana.post(t, address).is(t, 409, "another organization too", "scratchpaper second-factor")
	by := core.System("")
	if _, err := h.store.TakeOffSecondFactor(t.Context(), by, phone.person(t)); err != nil {
		t.Error(err)
	}
	ana.get(t, "/audit").is(t, 200, "second factor taken off")
}

func TestAnOrganizationAsksForASecondFactor(t *testing.T) {
	t.Parallel()
	h := mustHouse(t)
	ana := h.mustSetUp(t)
	ben, cleo := ana.mustJoin(t, "ben@example.org", "publisher"), ana.mustJoin(t, "cleo@example.org", "editor")
	ben.get(t, "/jobs").is(t, 200)
	ana.post(t, "/organization/settings", "second_factor", "nonsense").is(t, 422, "nobody, publishers or everybody")
	ana.post(t, "/organization/settings", "second_factor", "publishers").is(t, http.StatusSeeOther)
	for _, v := range []*visitor{ana, ben} {
		if a := v.get(t, "/jobs"); a.status != http.StatusSeeOther || a.header.Get("Location") != factorPath {
			t.Errorf("a page answers %d to %s", a.status, a.header.Get("Location"))
		}
	}
	if a := ben.get(t, "/jobs/now", "HX-Request", "true"); a.status != http.StatusForbidden || a.header.Get("HX-Redirect") != factorPath {
		t.Errorf("a fragment answers %d to %s", a.status, a.header.Get("HX-Redirect"))
	}
	ben.get(t, "/api/v1/snapshots", "Accept", "application/json").is(t, http.StatusForbidden, "asks for a second factor")
	ben.post(t, "/account/name", "name", "Ben the Second").is(t, http.StatusForbidden)
	ben.post(t, "/tokens", "name", "a way around", "scope", "read").is(t, http.StatusForbidden)
	cleo.get(t, "/jobs").is(t, 200)
	ben.get(t, factorPath).is(t, 200, "Your organization asks for one", "Sign out")
	ben.mustFactor(t)
	ben.get(t, "/jobs").is(t, 200)
	ana.mustFactor(t)
	ana.post(t, "/organization/settings", "second_factor", "everybody").is(t, http.StatusSeeOther)
	cleo.get(t, "/jobs").is(t, http.StatusSeeOther)
	a := ana.get(t, "/members")
	a.is(t, 200)
	if got := [2]int{strings.Count(a.body, "no second factor yet"), strings.Count(a.body, ">second factor<")}; got != [2]int{1, 2} {
		t.Errorf("the members' page says so of %v", got)
	}
	ana.get(t, "/audit").is(t, 200, "a second factor is asked of")
	// A new member is asked at once, and a role that is given counts at once.
	dora := ana.mustJoin(t, "dora@example.org", "viewer")
	dora.get(t, "/").is(t, http.StatusSeeOther)
	ana.post(t, "/organization/settings", "second_factor", "nobody").is(t, http.StatusSeeOther)
	dora.get(t, "/").is(t, 200)
}

func TestAQRCodeIsDrawnAsItIs(t *testing.T) {
	t.Parallel()
	text := totp.Address("Scratchpaper kettles.example.org", "ana@example.org", totp.NewSecret())
	drawn, err := qrOf(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(drawn.Path, -1) {
		for x := range figure(t, m[3]) {
			black[[2]int{figure(t, m[1]) + x - views.QuietZone, figure(t, m[2]) - views.QuietZone}] = true
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) != black[[2]int{x, y}] {
				t.Fatalf("%d, %d is drawn as %v", x, y, black[[2]int{x, y}])
			}
		}
	}
	if drawn.Size != code.Size+8 {
		t.Errorf("it is %d wide", drawn.Size)
	}
}
