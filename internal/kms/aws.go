package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awskmsapi "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
)

// openAWS opens a key of AWS KMS by its ARN. AWS_ENDPOINT_URL_KMS names another endpoint.
func openAWS(ctx context.Context, keyARN string) (*Key, error) {
	parsed, err := arn.Parse(keyARN)
	if err != nil || parsed.Service != "kms" || parsed.Region == "" || !strings.HasPrefix(parsed.Resource, "key/") && !strings.HasPrefix(parsed.Resource, "alias/") {
		return nil, ErrURI
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(parsed.Region),
		awsconfig.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} })) // Retry does
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the AWS SDK: %w", err)
	}
	aead, err := awskms.NewAEADWithContext(ctx, keyARN, awskms.WithKMS(awskmsapi.NewFromConfig(cfg)))
	if err != nil {
		return nil, fmt.Errorf("open the key: %w", err)
	}
	return &Key{host: "AWS KMS in " + parsed.Region, aead: aead, fault: awsFault}, nil
}

// awsFault reads an error of the AWS SDK. Throttling and passing states have codes of their
// own, some of them with status 400
// (https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors,
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html).
func awsFault(err error) (answer, bool) {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() == 0 { // the SDK wraps a request without an answer alike
		return answer{}, false
	}
	a := answer{status: response.HTTPStatusCode()}
	var api smithy.APIError
	if errors.As(err, &api) {
		a.code, a.text = api.ErrorCode(), api.ErrorMessage()
	}
	switch a.code {
	case "ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "ServiceUnavailable", "RequestExpired":
		a.later = true
	}
	return a, true
}
