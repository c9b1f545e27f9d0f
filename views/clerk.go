package views

// ClerkView is what a page needs to load Clerk's script.
type ClerkView struct {
	Key      string // publishable
	Frontend string // address of Clerk's Frontend API, from where the script comes
	Mount    string // sign-in or sign-up; "" only keeps the session token fresh
	Back     string // address to go on to
}
