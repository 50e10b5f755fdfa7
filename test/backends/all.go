package backends

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
)

// Servers are one of each kind, for a program that is no test.
type Servers struct {
	// Mongo is a mongodb:// address with a database; AWS (SNS and SQS) and S3 are endpoints.
	Mongo, AWS, S3       string
	AccessKey, SecretKey string

	running [3]*Server
}

// StartAll starts a server of each kind, with their data under dir, and calls answers for one after the other as soon as
// it does. The caller stops them.
func StartAll(dir string, answers func(name, url string)) (*Servers, error) {
	s := &Servers{AccessKey: accessKey, SecretKey: secretKey}
	var (
		errs [3]error
		all  sync.WaitGroup
		one  sync.Mutex
	)
	for k, name := range map[kind]string{mongo: "MongoDB", aws: "SNS and SQS", s3: "S3"} {
		all.Go(func() {
			if s.running[k], errs[k] = start(k, "127.0.0.1:0", filepath.Join(dir, k.String())); errs[k] == nil {
				one.Lock()
				defer one.Unlock()
				answers(name, s.running[k].URL)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.Mongo = strings.TrimSuffix(s.running[mongo].URL, "/") + "/cinelog"
	s.AWS, s.S3 = s.running[aws].URL, s.running[s3].URL
	return s, nil
}

// Stop kills the servers: their data is of no use after it.
func (s *Servers) Stop() error {
	var errs []error
	for _, one := range s.running {
		if one != nil {
			errs = append(errs, one.kill())
		}
	}
	return errors.Join(errs...)
}
