package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/cinelog/cinelog/domain"
)

// code is what storage calls an error; "" when it did not answer.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func status(err error) int {
	if res, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return res.HTTPStatusCode()
	}
	return 0
}

// absent says whether storage has no such thing. The answer to a HEAD has no body: then there is only the status.
func absent(err error) bool {
	c := code(err)
	return c == "NoSuchKey" || c == "NotFound" || c == "NoSuchUpload"
}

// failed names what failed, gives the error its kind, and says what to do where somebody has to do something. Those
// have no kind: trying again helps only after somebody did.
func (s *Store) failed(ctx context.Context, what, key string, err error) error {
	if key != "" {
		what += " " + key
	}
	what = fmt.Sprintf("%s in bucket %s", what, s.options.Bucket)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if absent(err) {
		return fmt.Errorf("%s: %w", what, domain.ErrNotFound)
	}
	if advice := s.advice(err); advice != "" {
		return fmt.Errorf("%s: %s: %w", what, advice, err)
	}
	c, n := code(err), status(err)
	_, isBusy := busy()[c]
	switch {
	case c == "PreconditionFailed" || c == "ConditionalRequestConflict":
		return fmt.Errorf("%s: %w: there is one already", what, domain.ErrConflict)
	case c == "EntityTooLarge":
		return fmt.Errorf("%s: %w: %w", what, domain.ErrTooLarge, err)
	case n == 0, n >= http.StatusInternalServerError, n == http.StatusTooManyRequests, c == "SlowDown", c == "RequestTimeout", isBusy:
		return fmt.Errorf("%s: %w: %w", what, domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *Store) advice(err error) string {
	switch code(err) {
	case "NoSuchBucket":
		return "the bucket does not exist; create it with `cinelog provision`, or name another one"
	case "InvalidAccessKeyId", "InvalidToken", "UnrecognizedClientException", "XAdminUserNotFound": // the last is versitygw's
		return "storage does not know the access key; check AWS_ACCESS_KEY_ID, and that the key belongs to this storage"
	case "SignatureDoesNotMatch":
		return "the secret key does not belong to the access key; check AWS_SECRET_ACCESS_KEY"
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return "the credentials have expired; get new ones"
	case "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem":
		return "the credentials do not allow it; `cinelog provision --print-iam` prints the policy that they need"
	case "RequestTimeTooSkewed":
		return "the clock of this machine is wrong; set it"
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fmt.Sprintf("the bucket is not in region %q; name its own with ?region= or AWS_REGION", s.client.Options().Region)
	case "InvalidBucketName":
		return "that is not the name of a bucket"
	}
	if _, ok := errors.AsType[*aws.MissingRegionError](err); ok {
		return "no AWS region is set"
	}
	return ""
}
