package views

import (
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Button says how a Button or ButtonLink looks and what it does. The zero Button is an ordinary one that submits.
type ButtonProps struct {
	Kind     string // "", primary, quiet, danger, ok
	Icon     string
	Size     string // "" is 28 px, large is 34 px
	Type     string // submit (default), button, reset
	Name     string
	Value    string
	Label    string // for screen readers, when there is only an icon
	Disabled bool
	Why      string // shown on hover: what it does, or why it cannot be pressed
	Key      string // the key that does the same, as shown: "Ctrl K"
	ID       string
	Dialog   string // id of a <dialog> that it opens (with a script)
	Form     string // id of the form that it belongs to, when it is outside of it
	Publish  bool   // Ctrl+Shift+Enter presses it
}

func (b ButtonProps) class() string { return ButtonClass(b.Kind, b.Size, b.Label != "") }

// ButtonClass gives the classes of a button, for elements that are not one of Button and ButtonLink. iconOnly makes it square.
func ButtonClass(kind, size string, iconOnly bool) string {
	c := []string{"inline-flex items-center justify-center gap-1.5 rounded border font-medium whitespace-nowrap no-underline select-none disabled:opacity-50 aria-disabled:opacity-50 transition-colors"}
	switch {
	case iconOnly && size == "large":
		c = append(c, "h-[34px] w-[34px]")
	case iconOnly:
		c = append(c, "h-7 w-7 pointer-coarse:h-9 pointer-coarse:w-9")
	case size == "large":
		c = append(c, "h-[34px] px-3.5")
	default:
		c = append(c, "h-7 px-2.5 pointer-coarse:h-9")
	}
	switch kind {
	case "primary":
		c = append(c, "border-accent bg-accent text-accent-ink enabled:hover:brightness-110 [a]:hover:brightness-110")
	case "quiet":
		c = append(c, "border-transparent bg-transparent text-ink-2 enabled:hover:bg-rule enabled:hover:text-ink [a]:hover:bg-rule [a]:hover:text-ink")
	case "danger":
		c = append(c, "border-rule-strong bg-paper text-del enabled:hover:bg-del-soft [a]:hover:bg-del-soft")
	case "ok":
		c = append(c, "border-add/45 bg-paper text-add enabled:hover:bg-add-soft [a]:hover:bg-add-soft")
	default:
		c = append(c, "border-rule-strong bg-paper text-ink enabled:hover:bg-desk [a]:hover:bg-desk")
	}
	return strings.Join(c, " ")
}

func (b ButtonProps) kindOf() string {
	if b.Type == "" {
		return "submit"
	}
	return b.Type
}

// CountClass gives the classes of a count by what it counts: edit, suggest, conflict, del, add, accent; "" is neutral.
func CountClass(kind string) string {
	c := "inline-block rounded-full px-1.5 text-tiny font-semibold whitespace-nowrap "
	switch kind {
	case "edit":
		return c + "bg-edit-soft text-edit"
	case "suggest":
		return c + "bg-suggest-soft text-suggest"
	case "conflict":
		return c + "bg-conflict-soft text-conflict"
	case "del":
		return c + "bg-del-soft text-del"
	case "add":
		return c + "bg-add-soft text-add"
	case "accent":
		return c + "bg-accent-soft text-accent"
	}
	return c + "bg-rule text-ink-2"
}

// PillClass gives the classes of a value shown as a pill (choices).
func PillClass() string {
	return "inline-block rounded-full bg-rule px-2 text-small leading-5 whitespace-nowrap"
}

// CardClass gives the classes of a card.
func CardClass() string { return "rounded-lg border border-rule bg-paper" }

// ListClass gives the classes of a card whose children are lines.
func ListClass() string { return CardClass() + " divide-y divide-rule" }

// LineClass gives the classes of one line of a list.
func LineClass() string { return "flex flex-wrap items-center gap-x-3 gap-y-1 px-3.5 py-2.5" }

// InputClass gives the classes of a text field, a select and a textarea.
func InputClass(invalid bool) string {
	c := "w-full rounded border bg-paper px-2.5 py-1 min-h-[30px] pointer-coarse:min-h-10 text-ink disabled:bg-desk disabled:text-ink-2 "
	if invalid {
		return c + "border-del shadow-[inset_0_-2px_0_var(--del)]"
	}
	return c + "border-rule-strong"
}

// Field is one field of a form.
type Field struct {
	Name        string
	Label       string
	Kind        string // text, number, password, url, email, choice, longtext, checkbox, search; "" is text
	Value       string
	Help        string // one sentence
	Error       string // what is wrong with the value
	Choices     []Choice
	Placeholder string
	Required    bool
	Secret      bool // never shown again: it has no value, and empty keeps what is stored
	Kept        bool // Secret: something is stored
	Came        bool // Secret: the service handed it over; it is stored with the form
	Autofocus   bool
	Strength    bool // a password that is chosen: how strong it is is said while it is typed
	// Autocomplete says what a browser may fill in, as HTML names it; "" is nothing, or a new password.
	Autocomplete string
	ID           string // "" is made from Name
}

// Choice is one choice of a Field.
type Choice struct{ Value, Text string }

// PlainChoices makes choices whose text is their value.
func PlainChoices(values []string) []Choice {
	out := make([]Choice, len(values))
	for i, v := range values {
		out[i] = Choice{v, v}
	}
	return out
}

func (f Field) id() string {
	if f.ID != "" {
		return f.ID
	}
	return "field-" + strings.NewReplacer("/", "-", ".", "-", "[", "-", "]", "").Replace(f.Name)
}

func (f Field) describedBy() string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.id()+"-error")
	}
	if f.Help != "" || f.Kept {
		ids = append(ids, f.id()+"-help")
	}
	return strings.Join(ids, " ")
}

func (f Field) inputType() string {
	switch f.Kind {
	case "url", "email", "search":
		return f.Kind
	}
	return "text"
}

func (f Field) inputMode() string {
	if f.Kind == "number" {
		return "decimal"
	}
	return ""
}

func (f Field) autocomplete() string {
	if f.Autocomplete != "" {
		return f.Autocomplete
	}
	if f.Secret || f.Kind == "password" {
		return "new-password"
	}
	return "off"
}

func noticeIcon(kind string) string {
	switch kind {
	case "ok":
		return "circle-check"
	case "warn":
		return "triangle-alert"
	case "error":
		return "circle-x"
	}
	return "info"
}

func noticeClass(kind string) string {
	c := "flex items-start gap-2.5 rounded-lg border px-3.5 py-2.5 "
	switch kind {
	case "ok":
		return c + "border-add/35 bg-add-soft text-add"
	case "warn":
		return c + "border-conflict/35 bg-conflict-soft text-conflict"
	case "error":
		return c + "border-del/35 bg-del-soft text-del"
	}
	return c + "border-rule bg-paper text-ink-2"
}

// DialogProps are a dialog's parts beside its content.
type DialogProps struct {
	ID    string
	Title string
	Wide  bool
	Open  bool // shown when the page loads
}

// Crumb is one step of the way to a page.
type Crumb struct{ Text, Address string }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// plainTime is what a browser without scripts shows.
func plainTime(t time.Time, how string) string {
	switch how {
	case "time":
		return t.UTC().Format("15:04")
	case "date":
		return t.UTC().Format("2 Jan 2006")
	}
	return t.UTC().Format("2 Jan 2006 15:04") + " UTC"
}

func (f Field) attributes() templ.Attributes {
	a := templ.Attributes{}
	if f.Required {
		a["required"] = !f.Kept && !f.Came
	}
	if f.Error != "" {
		a["aria-invalid"] = "true"
	}
	if by := f.describedBy(); by != "" {
		a["aria-describedby"] = by
	}
	if m := f.inputMode(); m != "" {
		a["inputmode"] = m
	}
	if f.Autofocus {
		a["autofocus"] = true
	}
	return a
}
