package explain

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
)

// byteOrderMark is the UTF-8 form of U+FEFF, with which some editors on Windows begin a file.
const byteOrderMark = "\ufeff"

// readAddresses returns the addresses of the command line, followed by those of the file of --addresses.
func (o *explainOptions) readAddresses(stdin io.Reader) ([]string, error) {
	for _, address := range o.arguments {
		if !utf8.ValidString(address) {
			return nil, fmt.Errorf("%q is not UTF-8: write it in a terminal that uses UTF-8", address)
		}
	}
	if o.addressFile == "" {
		return o.arguments, nil
	}
	name := o.addressFile
	if name == "-" {
		name = "stdin"
	}
	text, err := input.Read(o.addressFile, stdin)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--addresses: %w", err)
	case len(text) >= input.MaxBytes:
		return nil, fmt.Errorf("--addresses: %s has %d bytes or more: split it into smaller files", name, input.MaxBytes)
	}
	addresses, err := parseAddresses(string(text))
	if err != nil {
		return nil, fmt.Errorf("--addresses: %s%w", name, err)
	}
	return append(o.arguments, addresses...), nil
}

// parseAddresses returns the addresses of a text with one address a line. It skips blank lines and lines that begin with
// #, and removes white space around an address. Its errors begin with the number of the line, for example ":3: ".
func parseAddresses(text string) ([]string, error) {
	var addresses []string
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, byteOrderMark)) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !utf8.ValidString(line):
			return nil, fmt.Errorf(":%d: the address is not UTF-8: save the file as UTF-8", number)
		default:
			addresses = append(addresses, line)
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New(": no address: write one address a line; blank lines and lines that begin with # are skipped")
	}
	return addresses, nil
}
