package s3

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// staleDays is after how many days storage itself drops uploads that were never completed, where it can.
const staleDays = 7

// EnsureBucket makes what is missing: the bucket, the CORS rules with which pages of these origins ("*" for all) may
// fetch media, and the rule that drops unfinished uploads. It returns what it did, in words, or with dryRun what it
// would do; nothing when all is there.
func (s *Store) EnsureBucket(ctx context.Context, origins []string, dryRun bool) ([]string, error) {
	var done []string
	missing := false
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.options.Bucket})
	switch {
	case err == nil:
	case code(err) == "NotFound" || code(err) == "NoSuchBucket":
		missing = true
		region := s.client.Options().Region
		done = append(done, fmt.Sprintf("create bucket %s in %s", s.options.Bucket, region))
		if !dryRun {
			if err := s.createBucket(ctx, region); err != nil {
				return nil, err
			}
		}
	default:
		if checked := s.Check(ctx); checked != nil { // the answer to a HEAD does not say what is wrong
			return nil, checked
		}
		return nil, s.failed(ctx, "look", "", err)
	}
	for _, ensure := range []func(context.Context, bool, bool) (string, error){
		func(ctx context.Context, missing, dryRun bool) (string, error) {
			return s.ensureCORS(ctx, origins, missing, dryRun)
		},
		s.ensureLifecycle,
	} {
		did, err := ensure(ctx, missing, dryRun)
		if err != nil {
			return done, err
		}
		if did != "" {
			done = append(done, did)
		}
	}
	return done, nil
}

func (s *Store) createBucket(ctx context.Context, region string) error {
	in := &s3.CreateBucketInput{Bucket: &s.options.Bucket}
	if region != "us-east-1" { // which must not be named (Amazon S3 API reference, CreateBucket)
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err := s.client.CreateBucket(ctx, in)
	if err != nil && code(err) != "BucketAlreadyOwnedByYou" { // another one provisions too
		if code(err) == "BucketAlreadyExists" {
			return fmt.Errorf("create bucket %s: somebody else has a bucket of this name; choose another: %w", s.options.Bucket, err)
		}
		return s.failed(ctx, "create", "", err)
	}
	return nil
}

// ensureCORS lets pages of other origins fetch media and see what ranges they got.
func (s *Store) ensureCORS(ctx context.Context, origins []string, missing, dryRun bool) (string, error) {
	want := types.CORSRule{
		ID: aws.String("cinelog-media"), AllowedOrigins: origins, AllowedMethods: []string{"GET", "HEAD"},
		AllowedHeaders: []string{"*"}, ExposeHeaders: []string{"Content-Length", "Content-Range", "ETag"},
		MaxAgeSeconds: aws.Int32(86_400),
	}
	var rules []types.CORSRule
	if !missing {
		now, err := s.client.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &s.options.Bucket})
		if err != nil && code(err) != "NoSuchCORSConfiguration" {
			return "", s.failed(ctx, "read the CORS rules", "", err)
		}
		if err == nil {
			rules = now.CORSRules
		}
	}
	for i, have := range rules {
		if aws.ToString(have.ID) != *want.ID {
			continue
		}
		if slices.Equal(have.AllowedOrigins, want.AllowedOrigins) && slices.Equal(have.AllowedMethods, want.AllowedMethods) &&
			slices.Equal(have.AllowedHeaders, want.AllowedHeaders) && slices.Equal(have.ExposeHeaders, want.ExposeHeaders) {
			return "", nil
		}
		rules = slices.Delete(rules, i, i+1)
		break
	}
	did := fmt.Sprintf("let pages of %s fetch from bucket %s (CORS)", strings.Join(origins, ", "), s.options.Bucket)
	if dryRun {
		return did, nil
	}
	_, err := s.client.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &s.options.Bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: append(rules, want)},
	})
	if err != nil {
		return "", s.failed(ctx, "set the CORS rules", "", err)
	}
	return did, nil
}

// ensureLifecycle has storage drop unfinished uploads by itself, unless somebody has set such a rule already. Storage
// that has no rules is no error: AbortStale does the same.
func (s *Store) ensureLifecycle(ctx context.Context, missing, dryRun bool) (string, error) {
	var rules []types.LifecycleRule
	now, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.options.Bucket})
	switch {
	case err == nil:
		rules = now.Rules
	case code(err) == "NotImplemented" || code(err) == "MethodNotAllowed":
		return "", nil
	case code(err) == "NoSuchLifecycleConfiguration" || missing && dryRun:
	default:
		return "", s.failed(ctx, "read the lifecycle rules", "", err)
	}
	for _, have := range rules {
		if have.Status == types.ExpirationStatusEnabled && have.AbortIncompleteMultipartUpload != nil && have.Filter != nil &&
			have.Filter.And == nil && have.Filter.Tag == nil && strings.HasPrefix(s.options.Prefix, aws.ToString(have.Filter.Prefix)) {
			return "", nil
		}
	}
	did := fmt.Sprintf("drop uploads that are unfinished after %d days from bucket %s (lifecycle rule)", staleDays, s.options.Bucket)
	if dryRun {
		return did, nil
	}
	_, err = s.client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &s.options.Bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: append(rules, types.LifecycleRule{
			Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: &s.options.Prefix},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(staleDays)},
		})},
	})
	if err != nil {
		return "", s.failed(ctx, "set the lifecycle rules", "", err)
	}
	return did, nil
}

// Actions are what the credentials of a process that uses the bucket must allow, for the policies that
// `cinelog provision --print-iam` prints: on the bucket itself, and on what is under its prefix.
func Actions() (bucket, objects []string) {
	return []string{"s3:ListBucket", "s3:ListBucketMultipartUploads"},
		[]string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
}
