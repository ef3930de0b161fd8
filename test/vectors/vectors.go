// Package vectors has test cases in JSON files, with which the parsers, the rules, the server and the whole program are
// tested. README.md explains their members. Every function panics if the embedded files are malformed.
package vectors

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.json okta
var files embed.FS

// What a row expects.
const (
	// Allow: the call is allowed.
	Allow = "allow"
	// Deny: the address is valid, and the policy denies it or does not allow it.
	Deny = "deny"
	// Invalid: the address or the body is invalid. The call must not be allowed, and the request may be refused.
	Invalid = "invalid"
)

// Address is one row of addresses.json or deny-rules.json.
type Address struct {
	// ID, Email, PolicyAllow, PolicyDeny, Expect, Why and Source are the members of the row, see README.md.
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	PolicyAllow []string `json:"policyAllow"`
	PolicyDeny  []string `json:"policyDeny"`
	Expect      string   `json:"expect"`
	Why         string   `json:"why"`
	Source      string   `json:"source"`
}

// Addresses returns the rows of addresses.json.
func Addresses() []Address { return rows[Address]("addresses.json") }

// DenyRules returns the rows of deny-rules.json.
func DenyRules() []Address { return rows[Address]("deny-rules.json") }

// Body is one row of bodies.json.
type Body struct {
	// Body is the complete request body, as given in the row or generated. ID, PolicyAllow, Expect, Why and Source are
	// the members of the row, see README.md.
	ID          string
	Body        []byte
	PolicyAllow []string
	Expect      string
	Why         string
	Source      string
}

// Bodies returns the rows of bodies.json.
func Bodies() []Body {
	stored := rows[storedBody]("bodies.json")
	bodies := make([]Body, len(stored))
	for i, s := range stored {
		bodies[i] = Body{s.ID, s.expand(), s.PolicyAllow, s.Expect, s.Why, s.Source}
	}
	return bodies
}

// storedBody is a row of bodies.json. It has exactly one of Body, BodyBase64 and BodyGenerator.
type storedBody struct {
	ID            string         `json:"id"`
	Body          string         `json:"body"`
	BodyBase64    []byte         `json:"bodyBase64"`
	BodyGenerator *bodyGenerator `json:"bodyGenerator"`
	PolicyAllow   []string       `json:"policyAllow"`
	Expect        string         `json:"expect"`
	Why           string         `json:"why"`
	Source        string         `json:"source"`
}

type bodyGenerator struct {
	Kind      string `json:"kind"`
	Prefix    string `json:"prefix"`
	Open      string `json:"open"`
	Innermost string `json:"innermost"`
	Close     string `json:"close"`
	Fill      string `json:"fill"`
	Suffix    string `json:"suffix"`
	Count     int    `json:"count"`
}

func (s storedBody) expand() []byte {
	switch {
	case s.BodyGenerator != nil:
		return []byte(s.BodyGenerator.expand())
	case s.BodyBase64 != nil:
		return s.BodyBase64
	default:
		return []byte(s.Body)
	}
}

func (g bodyGenerator) expand() string {
	switch g.Kind {
	case "nest":
		return g.Prefix + strings.Repeat(g.Open, g.Count) + g.Innermost + strings.Repeat(g.Close, g.Count) + g.Suffix
	case "repeat":
		return g.Prefix + strings.Repeat(g.Fill, g.Count) + g.Suffix
	case "manykeys":
		var b strings.Builder
		b.WriteString(g.Prefix)
		for i := range g.Count {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		b.WriteString(g.Suffix)
		return b.String()
	default:
		panic("vectors: bodies.json: unknown bodyGenerator " + g.Kind)
	}
}

// File is a request or response from Okta's documentation or from a recording.
type File struct {
	// Name is the file's name, for example oie-ssr.json, and Body its content.
	Name string
	Body []byte
}

// OktaRequests returns the calls in Okta's documentation and recordings, sorted by name.
func OktaRequests() []File { return payloads("okta/requests") }

// OktaResponses returns the answers in Okta's documentation, sorted by name.
func OktaResponses() []File { return payloads("okta/responses") }

func payloads(dir string) []File {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic("vectors: " + err.Error())
	}
	all := make([]File, len(entries))
	for i, entry := range entries {
		all[i] = File{entry.Name(), read(dir + "/" + entry.Name())}
	}
	return all
}

func rows[T any](file string) []T {
	var all []T
	if err := json.Unmarshal(read(file), &all); err != nil {
		panic("vectors: " + file + ": " + err.Error())
	}
	return all
}

func read(file string) []byte {
	content, err := files.ReadFile(file)
	if err != nil {
		panic("vectors: " + err.Error())
	}
	return content
}
