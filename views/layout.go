package views

func (p Page) theme() string {
	if p.Theme == "light" || p.Theme == "dark" {
		return p.Theme
	}
	return "system"
}

func (p Page) snapshotID() string {
	if p.Snapshot == nil {
		return ""
	}
	return p.Snapshot.ID
}

func themes() []Choice {
	return []Choice{{"system", "As the system"}, {"light", "Light"}, {"dark", "Dark"}}
}

func themeIcon(theme string) string {
	switch theme {
	case "light":
		return "sun"
	case "dark":
		return "moon"
	}
	return "monitor"
}

type keyGroup struct {
	Title string
	Keys  []keyHelp
}

type keyHelp struct {
	Parts []string
	Does  string
}

func keyGroups() []keyGroup {
	k := func(does string, parts ...string) keyHelp { return keyHelp{parts, does} }
	return []keyGroup{
		{"Everywhere", []keyHelp{
			k("Go to anything", "Ctrl+K"), k("This list", "Ctrl+/"), k("This list, outside the grid", "?"), k("Close what is open", "Esc"),
			k("Review what would be sent; there, publish it", "Ctrl+Shift+Enter"),
		}},
		{"Move in the grid", []keyHelp{
			k("One cell", "←", "→", "↑", "↓"), k("To the edge of the data", "Ctrl+arrow"), k("First and last column", "Home", "End"),
			k("First and last cell", "Ctrl+Home", "Ctrl+End"), k("One screen", "PgUp", "PgDn"), k("Next and previous cell", "Tab", "Shift+Tab"),
			k("Out of the grid, part by part", "F6", "Shift+F6"),
		}},
		{"Select", []keyHelp{
			k("Extend", "Shift+arrow"), k("The record", "Shift+Space"), k("The column", "Ctrl+Space"), k("Everything", "Ctrl+A"),
		}},
		{"Change", []keyHelp{
			k("Edit the cell", "Enter", "F2"), k("Replace by typing", "any letter"), k("Leave it as it was", "Esc"), k("Clear", "Delete"),
			k("Tick a checkbox, or open the record", "Space"), k("Fill down, fill right", "Ctrl+D", "Ctrl+R"), k("Fill the selection", "Ctrl+Enter"),
			k("Copy, cut, paste", "Ctrl+C", "Ctrl+X", "Ctrl+V"), k("Undo, redo", "Ctrl+Z", "Ctrl+Shift+Z"), k("Show the old value", "Alt+O"),
		}},
		{"Find", []keyHelp{
			k("Find in all columns", "Ctrl+F"), k("The browser's own find", "Ctrl+F twice"), k("Find and replace", "Ctrl+H"),
		}},
		{"Suggestions", []keyHelp{
			k("Next, previous", "Alt+↓", "Alt+↑"), k("Accept", "Alt+Enter"), k("Reject", "Alt+⌫"),
		}},
	}
}
