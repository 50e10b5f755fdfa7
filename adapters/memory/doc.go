// Package memory keeps what the other adapters keep, in the memory of one process: for tests and for trying things
// out. It may import commands, projections and domain, no other adapter.
package memory
