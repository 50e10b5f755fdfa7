package main

import "runtime/debug"

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(c *console) error { //nolint:unparam // kong wants an error
	c.printf("cinelog %s\n", version())
	return nil
}

// version is the module's version where the binary was built from a released module, else "devel".
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
