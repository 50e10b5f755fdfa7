// Package players provides players of MPEG-DASH for tests in a browser: dash.js and Shaka Player, pinned in
// package.json, installed by npm once for each state of it and kept in the user's cache directory.
package players

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed package.json package-lock.json .npmrc
var sources embed.FS

// Scripts of the players, below the folder that Install returns. Each defines a global variable: dashjs, shaka.
const (
	DashJS = "node_modules/dashjs/dist/modern/umd/dash.all.min.js"
	Shaka  = "node_modules/shaka-player/dist/shaka-player.compiled.js"
)

// Install returns the folder with the players.
func Install(ctx context.Context) (dir string, err error) {
	lockfile, err := sources.ReadFile("package-lock.json")
	if err != nil {
		return "", fmt.Errorf("players: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("players: %w", err)
	}
	sum := sha256.Sum256(lockfile)
	dir = filepath.Join(cache, "cinelog-test", "players-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("players: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("players: %w", err)
	}
	defer func() { _ = lock.Close() }()                                    // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // several test processes may come at once
		return "", fmt.Errorf("players: %w", err)
	}
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("players: %w", err)
	}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		data, err := sources.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("players: %w", err)
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install the players: %w\n%s\nTo see it by hand: cd %s && npm ci", err, out, dir)
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		return "", fmt.Errorf("players: %w", err)
	}
	return dir, nil
}
