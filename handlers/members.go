package handlers

import (
	"github.com/labstack/echo/v4"

	"scratchpaper/internal/auth"
	"scratchpaper/internal/core"
	"scratchpaper/internal/mail"
	"scratchpaper/views"
)

// showMembers is the page of who belongs to the organization, and who is invited.
func (s *Server) showMembers(c echo.Context) error {
	return s.answerMembers(c, views.MembersView{}, nil)
}

func (s *Server) answerMembers(c echo.Context, v views.MembersView, wrong error) error {
	ctx, by := ctxOf(c), actor(c)
	members, err := s.store.Members(ctx, by)
	if err != nil {
		return err
	}
	invitations, err := s.store.Invitations(ctx, by)
	if err != nil {
		return err
	}
	p, err := s.page(c, "Members", "members")
	if err != nil {
		return err
	}
	for _, m := range members {
		v.Members = append(v.Members, views.MemberLine{ID: m.Person, Name: m.Name, Email: m.Email, Role: m.Role.String(), Since: m.Since, Seen: m.LastSeen, Self: m.Person == by.Person,
			HasPassword: m.HasPassword, HasFactor: m.HasFactor, NeedsFactor: m.NeedsFactor})
	}
	for _, i := range invitations {
		v.Invitations = append(v.Invitations, views.InvitationLine{ID: i.ID, Email: i.Email, Role: i.Role.String(), By: i.InvitedBy, Until: i.ExpiresAt})
	}
	for _, r := range core.Roles {
		v.Roles = append(v.Roles, views.Choice{Value: r.String(), Text: r.String()})
	}
	v.Organization, v.SendsMail = p.OrgName, s.signIn.Mail != nil
	if v.Role == "" {
		v.Role = core.Editor.String()
	}
	status, err := shownAgain(wrong, v.Place)
	if err != nil {
		return err
	}
	return s.render(c, status, views.Members(p, v))
}

// inviteMember makes an invitation and sends its link, or shows it once to be handed over.
func (s *Server) inviteMember(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	v := views.MembersView{Email: c.FormValue("email"), Role: c.FormValue("role")}
	if err := s.operatorsOnly(c, v.Email); err != nil {
		return s.answerMembers(c, v, err)
	}
	secret, hash := auth.NewSecret("")
	i, err := s.store.Invite(ctx, by, v.Email, core.RoleNamed(v.Role), hash)
	if err != nil {
		return s.answerMembers(c, v, err)
	}
	link := s.signIn.Base + "/invitation#" + secret
	if s.signIn.Mail == nil {
		return s.answerMembers(c, views.MembersView{Link: &views.OnceLink{For: i.Email, Address: link, What: "joins by this link within seven days"}}, nil)
	}
	s.signIn.Mail(mail.Message{To: i.Email, Subject: by.Name + " invites you to " + i.OrgName + " on Scratchpaper",
		Text: by.Name + " invites you to " + i.OrgName + " as " + i.Role.String() + ". Join here within seven days:\n\n" + link + "\n"})
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "An invitation is on its way to " + i.Email + "."})
	return see(c, "/members")
}

func (s *Server) withdrawInvitation(c echo.Context) error {
	if err := s.store.WithdrawInvitation(ctxOf(c), actor(c), c.Param("invitation")); err != nil {
		return err
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The invitation is withdrawn; its link opens nothing any more."})
	return see(c, "/members")
}

func (s *Server) changeRole(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.store.ChangeRole(ctxOf(c), actor(c), c.Param("member"), core.RoleNamed(c.FormValue("role"))); err != nil {
		return s.refusedMember(c, err)
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The role is changed. It holds at once, in what is open too."})
	return see(c, "/members")
}

// refusedMember shows the members with what was wrong, where a member is there.
func (s *Server) refusedMember(c echo.Context, err error) error {
	if code := core.CodeOf(err); code != core.Conflict && code != core.Invalid {
		return err
	}
	return s.answerMembers(c, views.MembersView{}, err)
}

func (s *Server) removeMember(c echo.Context) error {
	by := actor(c)
	if err := s.store.RemoveMember(ctxOf(c), by, c.Param("member")); err != nil {
		return s.refusedMember(c, err)
	}
	if c.Param("member") == by.Person {
		return see(c, "/")
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "They are no member any more. What they did stays in the history."})
	return see(c, "/members")
}

// resetMember shows a link once with which a member chooses a new password.
func (s *Server) resetMember(c echo.Context) error {
	email, err := s.store.EmailOf(ctxOf(c), c.Param("member"))
	if err == nil {
		err = s.operatorsOnly(c, email)
	}
	if err != nil {
		return s.refusedMember(c, err)
	}
	secret, hash := auth.NewSecret("")
	a, err := s.store.ResetCode(ctxOf(c), actor(c), c.Param("member"), hash)
	if err != nil {
		return s.refusedMember(c, err)
	}
	return s.answerMembers(c, views.MembersView{Link: &views.OnceLink{For: a.Name, Address: s.signIn.Base + "/reset#" + secret, What: "chooses a new password by this link within an hour"}}, nil)
}

func (s *Server) renameOrganization(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	if err := s.store.RenameOrganization(ctxOf(c), actor(c), c.FormValue("name")); err != nil {
		return s.answerMembers(c, views.MembersView{}, err)
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "Saved."})
	return see(c, "/members")
}

// createOrganization makes another organization and goes on in it.
func (s *Server) createOrganization(c echo.Context) error {
	if err := form(c); err != nil {
		return err
	}
	ctx, by := ctxOf(c), actor(c)
	id, err := s.store.CreateOrganization(ctx, by, c.FormValue("name"))
	if err != nil {
		return s.answerMembers(c, views.MembersView{}, err)
	}
	if by.Session != "" {
		if err := s.store.EnterOrganization(ctx, by, id); err != nil {
			return err
		}
	}
	s.leaveNotice(c, views.Notice{Kind: "ok", Text: "The organization is made, and you are in it. Invite the others."})
	return see(c, "/")
}
