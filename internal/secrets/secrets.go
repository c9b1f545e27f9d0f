// Package secrets encrypts credentials at rest, each bound to the row that it stands in.
package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"scratchpaper/internal/core"
)

// Box seals and unseals with the keys of a key file.
type Box struct{ aead tink.AEAD }

// Open reads the key file, or makes one of mode 600 where there is none and nothing has been sealed yet: with a new key
// what was sealed before could never be read again. A key that every user can read, or a group can write, is refused. Codes: Unavailable.
func Open(path string, sealedBefore bool) (*Box, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if sealedBefore {
			return nil, core.Errorf(core.Unavailable, "The key of the credentials is missing: %s. Put it back, or name it in SECRETS_KEY_FILE.", path)
		}
		raw, err = create(path)
	}
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The key of the credentials cannot be read: %s.", path)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The key of the credentials is damaged: %s.", path)
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, core.Wrap(err, core.Unavailable, "The key of the credentials does not fit this program: %s.", path)
	}
	return &Box{a}, nil
}

func create(path string) ([]byte, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("new key: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return keepFirst(path, b.Bytes())
}

// keepFirst writes the file, whole or not at all, and gives its content: that of another process that was faster, if
// there was one.
func keepFirst(path string, content []byte) ([]byte, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".new-") // made with mode 600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// private refuses a key that every user of the machine can read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return core.Wrap(err, core.Unavailable, "The key of the credentials cannot be read: %s.", path)
	}
	if info.Mode().Perm()&0o027 != 0 { // a group may read: that is how containers are handed secrets
		return core.Errorf(core.Unavailable, "The key of the credentials can be read by others: type chmod 600 %s.", path)
	}
	return nil
}

// bound names the row as a JSON array, so that no two rows have the same name.
func bound(org, table, id string) []byte {
	raw, _ := json.Marshal([]string{org, table, id}) // texts only
	return raw
}

// Seal encrypts plain for one row.
func (b *Box) Seal(plain []byte, org, table, id string) ([]byte, error) {
	return b.aead.Encrypt(plain, bound(org, table, id))
}

// Unseal decrypts what Seal made for the same row.
func (b *Box) Unseal(sealed []byte, org, table, id string) ([]byte, error) {
	return b.aead.Decrypt(sealed, bound(org, table, id))
}
