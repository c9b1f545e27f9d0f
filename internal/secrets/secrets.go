// Package secrets encrypts credentials at rest, each bound to the row that it stands in.
package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"scratchpaper/internal/core"
)

// Box seals and unseals with the operator's key: of a file, of the environment, or of a key management service.
type Box struct {
	aead   tink.AEAD
	before *Box // the key before this one, while it is being changed; nil where it is not
	remote bool // each use of it is a request to somewhere else
}

// Open reads the key file, or makes one of mode 600 where there is none and nothing has been sealed yet: with a new key
// what was sealed before could never be read again. A key that every user can read, or a group can write, is refused. Codes: Unavailable.
func Open(path string, sealedBefore bool) (*Box, error) {
	raw, err := os.ReadFile(path) // #nosec G304 -- the key file that the operator names
	if errors.Is(err, fs.ErrNotExist) {
		if sealedBefore {
			return nil, core.Errorf(core.Unavailable, "The key of the credentials is missing: %s. Put it back, name it in SECRETS_KEY_FILE, or set SECRETS_KEY to it.", path)
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
	return &Box{aead: a}, nil
}

// keyBytes is how many bytes a key has that is given as text (AES-256).
const keyBytes = 32

// FromText makes a box of a key that is given as text: a key file's content, or 32 random bytes in base64, as openssl rand -base64 32 gives
// them. Codes: Invalid.
func FromText(text string) (*Box, error) {
	wrong := func(err error) error {
		return core.Wrap(err, core.Invalid, "SECRETS_KEY takes 32 random bytes in base64, as openssl rand -base64 32 gives them, or the content of a key file.")
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil && len(raw) == keyBytes {
		text = string(keysetOf(raw))
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text)))
	if err != nil {
		return nil, wrong(nil) // the cause may quote the key
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, wrong(nil)
	}
	return &Box{aead: a}, nil
}

// keysetOf is the key file of one AES-256-GCM key. Its message of type AesGcmKey has the key in field 3.
func keysetOf(raw []byte) []byte {
	value := base64.StdEncoding.EncodeToString(append([]byte{3<<3 | 2, byte(len(raw))}, raw...)) // #nosec G115 -- it has 32 bytes
	return fmt.Appendf(nil, `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","value":"%s","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"TINK"}]}`, value)
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
	return os.ReadFile(path) // #nosec G304 -- the key file that the operator names
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

// Before says which key came before this one: what that sealed is read too. While there is one, and nothing else to seal with, it goes on
// sealing, so that processes that know only it can read everything.
func (b *Box) Before(before *Box) *Box {
	return &Box{aead: b.aead, before: before, remote: b.remote}
}

// Remote says whether each use of the key is a request to somewhere else, so that little should be sealed with it.
func (b *Box) Remote() bool { return b.remote }

// Changing says whether the key is being changed: there is one before it.
func (b *Box) Changing() bool { return b.before != nil }

// Seal encrypts plain for one row.
func (b *Box) Seal(plain []byte, org, table, id string) ([]byte, error) {
	if b.before != nil {
		return b.before.Seal(plain, org, table, id)
	}
	return b.aead.Encrypt(plain, bound(org, table, id))
}

// Unseal decrypts what Seal made for the same row.
func (b *Box) Unseal(sealed []byte, org, table, id string) ([]byte, error) {
	plain, err := b.aead.Decrypt(sealed, bound(org, table, id))
	if err != nil && b.before != nil {
		return b.before.Unseal(sealed, org, table, id)
	}
	return plain, err
}
