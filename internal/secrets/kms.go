package secrets

import (
	"context"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"

	"scratchpaper/internal/core"
)

// kmsScheme is what addresses of keys at AWS KMS begin with; the key's ARN follows.
const kmsScheme = "aws-kms://"

// kmsLimit bounds one request to the key management service.
const kmsLimit = 10 * time.Second

// IsAddress says whether a text is an address of a key, and no key.
func IsAddress(text string) bool { return strings.Contains(text, "://") }

// FromKMS makes a box of a key that never leaves its key management service: aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID. Who may use it is
// found as AWS's programs do: in the environment, in files, from the machine. Nothing is asked yet. Codes: Invalid.
func FromKMS(ctx context.Context, address string) (*Box, error) {
	arn := strings.Split(strings.TrimPrefix(address, kmsScheme), ":")
	if !strings.HasPrefix(address, kmsScheme) || len(arn) < 6 || arn[0] != "arn" || arn[2] != "kms" || arn[3] == "" {
		return nil, core.Errorf(core.Invalid, "The address of a key at AWS KMS is aws-kms:// and the key's ARN: aws-kms://arn:aws:kms:eu-central-1:123456789012:key/….")
	}
	conf, err := config.LoadDefaultConfig(ctx, config.WithRegion(arn[3]), config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(kmsLimit)))
	if err != nil {
		return nil, core.Wrap(err, core.Invalid, "AWS's settings cannot be read: %v.", err)
	}
	client, err := awskms.NewClientWithOptions(ctx, address, awskms.WithKMS(kms.NewFromConfig(conf)))
	if err != nil {
		return nil, core.Wrap(err, core.Invalid, "The key at AWS KMS cannot be used: %v.", err)
	}
	a, err := client.GetAEAD(address)
	if err != nil {
		return nil, core.Wrap(err, core.Invalid, "The key at AWS KMS cannot be used: %v.", err)
	}
	return &Box{aead: a, remote: true}, nil
}
