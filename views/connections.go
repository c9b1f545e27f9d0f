package views

import "time"

// ConnectorCard is a kind of service in the gallery.
type ConnectorCard struct {
	ID        string
	Name      string
	Summary   string
	Icon      string
	Abilities []Ability
	Limits    []string // sentences
	SetUp     []string // steps at the service, as sentences
	Gap       string
}

// Ability is something a service can or cannot do.
type Ability struct {
	Name string
	Can  bool
}

// ConnectionLine is a connection in a list.
type ConnectionLine struct {
	ID        string
	Name      string
	Connector string // name of the kind
	Icon      string
	Health    string // ok, failing, unknown
	Words     string // the service's own
	LastUsed  *time.Time
	Snapshots int
	Sample    bool
}

// ConnectionForm is the form of a new or existing connection.
type ConnectionForm struct {
	Connector ConnectorCard
	ID        string // "" is a new one
	Name      Field
	Fields    []Field
	Error     string // of the whole, in the service's own words
	Works     bool   // it was tried and the service said yes
	Draft     bool   // it is filled in with what the service handed over
	GoOn      *Notice
	// AuthorizeAfter is the field under which a person can go to the service instead of typing; "" where there is no such way.
	AuthorizeAfter string
	AuthorizeHelp  string
	Sample         bool
}

// Action is where the form goes.
func (f ConnectionForm) Action() string {
	if f.ID == "" {
		return "/connections"
	}
	return "/connections/" + f.ID
}

// ConnectionView is the page of one connection.
type ConnectionView struct {
	Line      ConnectionLine
	Card      ConnectorCard
	Settings  []Pair // what is not secret
	Secrets   bool
	Created   time.Time
	Checked   *time.Time
	Snapshots []Link // what depends on it
}

// Pair is a name and its value.
type Pair struct{ Name, Value string }

func healthKind(h string) string {
	switch h {
	case "ok":
		return "add"
	case "failing":
		return "del"
	}
	return ""
}

func healthText(h string) string {
	switch h {
	case "ok":
		return "works"
	case "failing":
		return "fails"
	}
	return "not tried yet"
}

func abilityIcon(can bool) string {
	if can {
		return "check"
	}
	return "minus"
}
