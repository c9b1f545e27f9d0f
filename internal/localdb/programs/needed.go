package programs

import (
	"path"
	"strings"
)

// extensions are the modules of lib/postgresql that initdb and the app load. Conversions between other encodings than
// UTF-8, other languages and the contrib modules stay behind.
var extensions = map[string]bool{"plpgsql": true, "dict_snowball": true}

// unneeded are the libraries of other clients and modules.
var unneeded = []string{"libecpg", "libpgtypes", "libxslt", "libossp-uuid"}

// needed says whether the app's PostgreSQL needs a file of the npm package. ICU, time zones and all that initdb reads
// stay; what is for developers and for other programs goes.
func needed(rel string) bool {
	dir, name := path.Split(rel)
	module, _, _ := strings.Cut(name, ".")
	switch {
	case dir == "bin/":
		return name == "postgres" || name == "initdb"
	case dir == "lib/":
		return neededLibrary(name)
	case dir == "lib/postgresql/":
		return extensions[module]
	case dir == "share/postgresql/extension/":
		return strings.HasPrefix(name, "plpgsql")
	}
	return !strings.HasPrefix(dir, "lib/") && !strings.HasPrefix(dir, "include/")
}

// neededLibrary leaves out static libraries and the names that only a linker uses, such as libpq.so for libpq.so.5.
func neededLibrary(name string) bool {
	for _, prefix := range unneeded {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return strings.Contains(name, ".so.") || strings.HasSuffix(name, ".dylib")
}
