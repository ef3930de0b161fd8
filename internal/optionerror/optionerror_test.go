package optionerror

import (
	"errors"
	"fmt"
	"testing"
)

func TestAnErrorAboutOptionsNamesTheirFlagsAndLeavesTheirValues(t *testing.T) {
	var faults Errors
	faults.Add("Store", "is required")
	faults.Add("Path", "%q must begin with /", "x Path: y")
	faults.Add("Path", "%q must begin with /", "x Path: y")
	const want = `--hook-path: "x Path: y" must begin with /` + "\nStore: is required"
	if got := ByFlag(fmt.Errorf("server: %w", faults.Err()), map[string]string{"Path": "--hook-path"}); got.Error() != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if other := errors.New("port in use"); ByFlag(other, nil) != other {
		t.Error("an error about no option was changed")
	}
	if err := new(Errors).Err(); err != nil {
		t.Errorf("no faults are the error %v", err)
	}
}
