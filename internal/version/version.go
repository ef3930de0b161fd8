// Package version says of which version a program of ours is.
package version

import "runtime/debug"

// stamped is what a build was given by -ldflags "-X registrationpolicy.dev/operator/internal/version.stamped=v1.2.3"; "" means nothing.
var stamped string

// unknown is the version of a build that was given none, outside of a repository.
const unknown = "(devel)"

// String returns the version that the build was given, or that of the module as the go command recorded it in the program.
func String() string {
	if stamped != "" {
		return stamped
	}
	if build, found := debug.ReadBuildInfo(); found && build.Main.Version != "" {
		return build.Main.Version
	}
	return unknown
}
