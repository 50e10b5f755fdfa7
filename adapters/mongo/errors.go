package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/cinelog/cinelog/domain"
)

// Codes of MongoDB's errors (its error_codes.yml).
const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeNamespaceExists      = 48
	codeAtlasError           = 8000 // Atlas says this where others say AuthenticationFailed
)

// awayCodes are errors of a server that cannot serve now: no primary, shutting down, no majority, disk full, too slow.
func awayCodes() []int {
	return []int{
		6, 7, 89, 91, 9001, // host unreachable, host not found, network timeout, shutting down, socket
		10107, 13435, 13436, 189, // no primary
		11600, 11602, 11601, 290, // interrupted, also by a change of the primary
		50, 262, // too slow
		64, 79, 100, 134, // no majority, for now
		14031, // disk full
	}
}

// unavailable makes an error an ErrUnavailable if it says that the server is away, full or too slow for now, so that
// callers may try again, and ctx's error if that is the cause. It puts a refusal into words; any other error is
// returned as it is.
func unavailable(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, domain.ErrUnavailable) {
		return err
	}
	codes := mongo.ErrorCodes(err)
	has := func(list ...int) bool {
		return slices.ContainsFunc(codes, func(c int) bool { return slices.Contains(list, c) })
	}
	var refused *auth.Error
	var noServer topology.ServerSelectionError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.As(err, &refused), has(codeAuthenticationFailed, codeAtlasError):
		return fmt.Errorf("the server refuses the user name or the password (or wants one: mongodb://user:password@host/database?authSource=admin): %w", err)
	case has(codeUnauthorized):
		return fmt.Errorf("the user lacks rights on the database: grant it readWrite: %w", err)
	case errors.As(err, &noServer), mongo.IsNetworkError(err), mongo.IsTimeout(err),
		errors.Is(err, mongo.ErrClientDisconnected), has(awayCodes()...):
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return err
}
