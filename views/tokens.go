package views

import (
	"time"

	"scratchpaper/internal/core"
)

// TokensView is the page of API tokens.
type TokensView struct {
	Tokens            []TokenLine
	Scopes            []Choice
	Name, Scope, Days string // of the form
	NameError, Error  string
	Made, Secret      string // a token that was just made, shown this once
}

// TokenLine is one API token. Person is who made it, where that is somebody else.
type TokenLine struct {
	ID, Name, Scopes, Person string
	Made, Expires            time.Time
	Used                     *time.Time
	Over                     bool
}

// Place puts a refusal at its field.
func (v *TokensView) Place(e *core.Error) {
	for _, f := range e.Fields {
		if f.Pointer == "/name" {
			v.NameError = f.Detail
			return
		}
	}
	v.Error = e.Sentence
}

func tokenLives() []Choice {
	return []Choice{{"7", "7 days"}, {"30", "30 days"}, {"90", "90 days"}, {"365", "a year"}}
}
