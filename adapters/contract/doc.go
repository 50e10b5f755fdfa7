// Package contract holds one suite of tests, with benchmarks, for each port that has several adapters. Every adapter's
// tests run the suite of its ports; what is found wrong with one adapter becomes a case for all.
package contract
