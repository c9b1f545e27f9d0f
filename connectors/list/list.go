// Package list is the one list of connectors there are. It is a package of its own since each connector imports the
// interface.
package list

import (
	"scratchpaper/connectors"
	"scratchpaper/connectors/postgres"
	"scratchpaper/connectors/wordpress"
)

// All gives the connectors in the order of the gallery.
func All() []connectors.Connector {
	return []connectors.Connector{
		postgres.New(),
		wordpress.New(),
	}
}

// ByID finds a connector by the id of its Info.
func ByID(id string) (connectors.Connector, bool) {
	for _, c := range All() {
		if c.Info().ID == id {
			return c, true
		}
	}
	return nil, false
}
