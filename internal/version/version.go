// Package version holds the version of the program.
package version

import "runtime/debug"

// stamped is set at build time by -ldflags "-X registrationpolicy.dev/operator/internal/version.stamped=v1.2.3"; "" if
// it is not.
var stamped string

// unknown is the version of a build outside of a repository that was not stamped.
const unknown = "(devel)"

// String returns the stamped version, else the module version that the go command recorded in the program.
func String() string {
	if stamped != "" {
		return stamped
	}
	if build, found := debug.ReadBuildInfo(); found && build.Main.Version != "" {
		return build.Main.Version
	}
	return unknown
}
