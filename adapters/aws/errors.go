package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/cinelog/cinelog/domain"
)

// explain gives an error of AWS its kind: what may pass by itself is ErrUnavailable, and what will not says how to
// mend it where that is known.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) ||
		errors.Is(err, domain.ErrInvalid) {
		return err
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || throttled(api.ErrorCode()) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	switch api.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return fmt.Errorf("%w: the AWS credentials have expired: %w", domain.ErrUnavailable, err)
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId",
		"IncompleteSignature", "MissingAuthenticationToken":
		return fmt.Errorf("AWS refuses the credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or "+
			"the role of this machine: %w", err)
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException":
		return fmt.Errorf("AWS does not allow this to these credentials; `cinelog provision --print-iam` prints the policy "+
			"that they need: %w", err)
	}
	if status, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok && status.HTTPStatusCode() >= http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}

func throttled(code string) bool {
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}

// missing says whether an error means that a topic or queue does not exist.
func missing(err error) bool {
	if _, ok := errors.AsType[*sqstypes.QueueDoesNotExist](err); ok {
		return true
	}
	if _, ok := errors.AsType[*snstypes.NotFoundException](err); ok {
		return true
	}
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && (api.ErrorCode() == "AWS.SimpleQueueService.NonExistentQueue" || api.ErrorCode() == "NotFound")
}
