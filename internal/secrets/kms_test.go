package secrets_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/secrets"
)

// kmsStandIn answers Encrypt and Decrypt as AWS KMS documents them (JSON 1.1, the action in X-Amz-Target): it encrypts for real, and opens
// nothing under another encryption context or for another key.
type kmsStandIn struct {
	*httptest.Server
	asked atomic.Int64
	down  atomic.Bool
}

const kmsKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func mustKMS(t *testing.T) *kmsStandIn {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	k := &kmsStandIn{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		refuse := func(status int, kind string) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"__type": %q, "message": "no"}`, kind)
		}
		var in struct {
			KeyId                     string
			Plaintext, CiphertextBlob []byte
			EncryptionContext         map[string]string
		}
		if k.down.Load() {
			refuse(500, "KMSInternalException")
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			refuse(400, "AccessDeniedException")
			return
		}
		under := []byte(in.KeyId + fmt.Sprint(in.EncryptionContext))
		out := map[string]any{"KeyId": in.KeyId}
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.Encrypt":
			out["CiphertextBlob"] = gcm.Seal(nil, make([]byte, gcm.NonceSize()), in.Plaintext, under)
		case "TrentService.Decrypt":
			plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), in.CiphertextBlob, under)
			if err != nil {
				refuse(400, "InvalidCiphertextException")
				return
			}
			out["Plaintext"] = plain
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(k.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_KMS": k.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"} {
		t.Setenv(name, value)
	}
	return k
}

func TestAKeyAtAServiceWrapsTheKeysAndIsAskedOncePerKey(t *testing.T) {
	service, k := mustKMS(t), &kept{}
	box, err := secrets.FromKMS(t.Context(), "aws-kms://"+kmsKey)
	if err != nil || !box.Remote() {
		t.Fatal(err)
	}
	k.mustAdd(t, box)
	ring := secrets.NewRing(box, k.load)
	sealed := mustSealWith(t, ring, "hunter2")
	asked := service.asked.Load()
	for range 20 {
		reads(t, "the ring", ring, mustSealWith(t, ring, "again"), "again")
	}
	reads(t, "the ring", ring, sealed, "hunter2")
	if n := service.asked.Load() - asked; n > 21+1 { // reads asks once more with a wrong row, which the operator's key is tried for
		t.Errorf("sealing and unsealing asked the service %d times", n)
	}
	other, err := secrets.FromKMS(t.Context(), "aws-kms://"+strings.Replace(kmsKey, "1234abcd", "9999abcd", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Opens(k.keys[0]); err == nil {
		t.Error("another key at the service opens it")
	}
	service.down.Store(true)
	reads(t, "a ring whose service is gone", ring, sealed, "hunter2")
	if err := secrets.NewRing(box, k.load).Look(t.Context()); err == nil {
		t.Error("a process starts without the service")
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", "aws-kms://", "aws-kms://key", "gcp-kms://projects/p", "aws-kms://arn:aws:s3:eu-central-1:1:key/x", "https://kms.example.org"} {
		if _, err := secrets.FromKMS(t.Context(), wrong); core.CodeOf(err) != core.Invalid {
			t.Errorf("%q gives %v", wrong, err)
		}
	}
}
