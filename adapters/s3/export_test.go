package s3

import (
	"net"
	"time"
)

// NewLively is how the store's connections are made.
func NewLively(c net.Conn, silence time.Duration) net.Conn { return &lively{c, silence} }
