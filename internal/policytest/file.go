package policytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"registrationpolicy.dev/operator/rules"
)

// MaxFile bounds the size of a file in bytes.
const MaxFile = 4 << 20

// File is a file with tests.
type File struct {
	// Policies are the files and directories with the policies, relative to the directory of this test file. Unset
	// means that directory itself.
	Policies []string `yaml:"policies"`
	// Cases are the tests.
	Cases []Case `yaml:"cases"`
}

// Case is one test. Exactly one of Email, Addresses, Request and Every says what is decided.
type Case struct {
	// Name is a sentence that says what holds. No other case in the file has the same name.
	Name string `yaml:"name"`
	// Email is the address of one call. Addresses are the addresses of several calls, each with one of them.
	Email     string   `yaml:"email"`
	Addresses []string `yaml:"addresses"`
	// Request is the path of a file with a call as Okta posts it, relative to the directory of the test file.
	Request string `yaml:"request"`
	// Every is a set of calls. The test proves the expectation for each call of the set.
	Every *Every `yaml:"every"`

	// Login is the login in the call with Email. If it is unset, the login in a sign-up is Email, and an update of a
	// profile has no login.
	Login string `yaml:"login"`
	// Source is Okta's id of the enrolment policy or rule that calls.
	Source string `yaml:"source"`
	// RequestType is SelfServiceRegistration if unset.
	RequestType rules.RequestType `yaml:"requestType"`
	// Profile has the attributes of the call besides its email and login.
	Profile Profile `yaml:"profile"`

	// Expect is what the decision must be.
	Expect Expect `yaml:"expect"`

	// Line is the line of the case in the test file.
	Line int `yaml:"-"`
}

// Every is a set of calls, each with exactly one address. An expected denial also holds if another address is added to
// such a call, as a login besides the email: a second address never turns a denial into an allow.
type Every struct {
	// Addresses are entries as in spec.allow: acme.com, *.acme.com, "*", jo@acme.com, or jo+*@acme.com.
	Addresses []string `yaml:"addresses"`
	// Except are entries whose addresses are not in the set.
	Except []string `yaml:"except"`
	// RequestTypes and Sources are the request types and the sources of the calls; empty means all.
	RequestTypes []rules.RequestType `yaml:"requestTypes"`
	Sources      []string            `yaml:"sources"`
}

// Expect is what a decision must be. Unset members are not compared.
type Expect struct {
	// Outcome is Allow or Deny, and is required.
	Outcome string `yaml:"outcome"`
	// Reason is the reason of the decision.
	Reason rules.Reason `yaml:"reason"`
	// Policy is the policy that decides, as namespace/name, and Entry is the path of the entry that matched.
	Policy string `yaml:"policy"`
	Entry  string `yaml:"entry"`
	// Message is the text that the person reads, with {id} for the id of the decision.
	Message string `yaml:"message"`
	// Profile has the attributes that Okta sets.
	Profile Profile `yaml:"profile"`
	// Audit maps policies in mode Audit, as namespace/name, to the outcome of the call if that policy alone were in mode
	// Enforce.
	Audit map[string]string `yaml:"audit"`
}

// Profile maps attributes to their values. A date without quotes is read as text, as it is in a policy.
type Profile map[string]any

// UnmarshalYAML implements [yaml.Unmarshaler].
func (p *Profile) UnmarshalYAML(n *yaml.Node) error {
	datesAsTexts(n)
	return n.Decode((*map[string]any)(p))
}

func datesAsTexts(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		datesAsTexts(child)
	}
}

// The values of Expect.Outcome: Allow and Deny are the outcomes of a decision.
const (
	Allow = "Allow"
	Deny  = "Deny"
)

// Read reads a file with tests. It is strict: a member that is unknown or missing is an error. The error joins all
// errors that were found, each with the name of the file, the line and the fix.
func Read(name string, text []byte) (*File, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s: over %d bytes; split it into several files", name, MaxFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file File
	if err := decoder.Decode(&file); err != nil {
		return nil, decodeError(name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document: write all cases under one cases", name)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, decodeError(name, err)
	}
	if empty := emptyItems(&document); len(empty) > 0 { // the decoder drops null items without an error
		var errs []error
		for _, line := range empty {
			errs = append(errs, fmt.Errorf("%s:%d: an item of a list is empty: write it, or remove it", name, line))
		}
		return nil, errors.Join(errs...)
	}
	var lines struct {
		Cases []yaml.Node `yaml:"cases"`
	}
	if err := document.Decode(&lines); err != nil {
		return nil, decodeError(name, err)
	}
	if len(file.Cases) == 0 {
		return nil, fmt.Errorf("%s:1: no cases: write a list of tests under cases", name)
	}
	var errs []error
	names := map[string]int{}
	for i := range file.Cases {
		c := &file.Cases[i]
		c.Line = lines.Cases[i].Line
		for _, text := range c.faults() {
			errs = append(errs, fmt.Errorf("%s:%d: %s", name, c.Line, text))
		}
		if other, found := names[c.Name]; found && c.Name != "" {
			errs = append(errs, fmt.Errorf("%s:%d: another case has the name %q, in line %d: give it another", name, c.Line, c.Name, other))
		}
		names[c.Name] = c.Line
	}
	return &file, errors.Join(errs...)
}

// emptyItems returns the lines of list items that are null or "". It accepts "" in addresses, because a call may have
// an empty address. It does not look into a profile, whose values may be anything.
func emptyItems(n *yaml.Node) []int {
	var lines []int
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && (i%2 == 0 || n.Content[i-1].Value == "profile") {
			continue
		}
		addresses := n.Kind == yaml.MappingNode && n.Content[i-1].Value == "addresses"
		for _, item := range child.Content {
			if child.Kind == yaml.SequenceNode && (item.Tag == "!!null" || item.Tag == "!!str" && item.Value == "" && !addresses) {
				lines = append(lines, item.Line)
			}
		}
		lines = append(lines, emptyItems(child)...)
	}
	return lines
}

// faults returns what is wrong with the members of a case.
func (c *Case) faults() []string {
	var faults []string
	add := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, text)
		}
	}
	given := 0
	for _, is := range []bool{c.Email != "", len(c.Addresses) > 0, c.Request != "", c.Every != nil} {
		if is {
			given++
		}
	}
	add(strings.TrimSpace(c.Name) == "", "the case has no name: write a sentence that says what holds")
	add(given != 1, "write one of email, addresses, request and every")
	add(c.Login != "" && c.Email == "", "login belongs to email: write email with it")
	add(c.Profile != nil && c.Email == "" && len(c.Addresses) == 0, "profile belongs to email or addresses: write one of them with it")
	add(c.Request != "" && (c.Source != "" || c.RequestType != ""), "the call of request has its own source and requestType: remove these")
	add(c.Every != nil && (c.Source != "" || c.RequestType != ""), "write sources and requestTypes in every")
	faults = append(faults, unknown("requestType", c.RequestType, "", rules.SelfServiceRegistration, rules.ProgressiveProfile)...)
	if c.Every != nil {
		add(len(c.Every.Addresses) == 0, `every has no addresses: write entries such as "*.acme.com"`)
		for _, request := range c.Every.RequestTypes {
			faults = append(faults, unknown("every.requestTypes", request, rules.SelfServiceRegistration, rules.ProgressiveProfile)...)
		}
		add(c.Expect.Audit != nil, "the audit of every cannot be expected: name an email")
	}
	if c.Expect.Outcome == "" {
		faults = append(faults, "expect has no outcome: write Allow or Deny")
	} else {
		faults = append(faults, unknown("expect.outcome", c.Expect.Outcome, Allow, Deny)...)
	}
	faults = append(faults, unknown("expect.reason", c.Expect.Reason, append([]rules.Reason{""}, rules.Reasons()...)...)...)
	for _, outcome := range c.Expect.Audit {
		faults = append(faults, unknown("expect.audit", outcome, Allow, Deny)...)
	}
	return faults
}

// unknown returns a fault if a value is not one of the known ones.
func unknown[T ~string](member string, value T, known ...T) []string {
	if slices.Contains(known, value) {
		return nil
	}
	var texts []string
	for _, k := range known {
		if k != "" {
			texts = append(texts, string(k))
		}
	}
	return []string{fmt.Sprintf("%s: %q: write one of %s", member, value, strings.Join(texts, ", "))}
}

var (
	errorLine    = regexp.MustCompile(`(?s)^(?:yaml: )?line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`(?s)^field (.*) not found in type policytest\.(\w+)$`)
	wrongKind    = regexp.MustCompile("(?s)^cannot unmarshal (?:!!)?(\\w+)(?: `.*`)? into (.*)$")
	doubledKey   = regexp.MustCompile(`(?s)^mapping key (".*") already defined at line (\d+)$`)
)

// decodeError turns an error of the YAML decoder into sentences with the name of the file, the line and the fix.
func decodeError(name string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:1: empty: write a list of tests under cases", name)
	}
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		if match := errorLine.FindStringSubmatch(err.Error()); match != nil {
			return fmt.Errorf("%s:%s: not YAML: %s", name, match[1], match[2])
		}
		return fmt.Errorf("%s: not YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var errs []error
	for _, text := range typeError.Errors {
		match := errorLine.FindStringSubmatch(text)
		if match == nil {
			errs = append(errs, fmt.Errorf("%s: %s", name, decodeFault(text)))
			continue
		}
		errs = append(errs, fmt.Errorf("%s:%s: %s", name, match[1], decodeFault(match[2])))
	}
	return errors.Join(errs...)
}

func decodeFault(text string) string {
	if match := unknownField.FindStringSubmatch(text); match != nil {
		return fmt.Sprintf("unknown member %s: write one of %s", strconv.Quote(match[1]), strings.Join(membersOf(match[2]), ", "))
	}
	if match := doubledKey.FindStringSubmatch(text); match != nil {
		return fmt.Sprintf("member %s is there twice, first in line %s: remove one", match[1], match[2])
	}
	if match := wrongKind.FindStringSubmatch(text); match != nil {
		return fmt.Sprintf("this is a %s: write %s", kindNames[match[1]], kindOf(match[2]))
	}
	return "not a value that this member can have" // the decoder's text may quote it
}

// kindNames has words for the kinds of values in YAML, by the tags that the decoder writes into its errors.
var kindNames = map[string]string{
	"seq": "list", "map": "mapping", "str": "text", "int": "number", "float": "number", "bool": "boolean", "null": "null",
	"timestamp": "date", "binary": "binary value", "merge": "merge key",
}

// kindOf says how to write a value of a Go type in YAML. goType is the name of the type in an error of the decoder.
func kindOf(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]policytest."):
		return "a list of mappings"
	case strings.HasPrefix(goType, "[]"):
		return "a list of texts"
	case strings.HasPrefix(goType, "policytest."), strings.HasPrefix(goType, "map["):
		return "a mapping"
	default:
		return "a text"
	}
}

// membersOf returns the YAML members of a struct type of this package, given by its name.
func membersOf(name string) []string {
	types := []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[Case](), reflect.TypeFor[Every](), reflect.TypeFor[Expect](),
	}
	for _, t := range types {
		if t.Name() != name {
			continue
		}
		var members []string
		for member := range t.Fields() {
			if tag := member.Tag.Get("yaml"); tag != "-" {
				members = append(members, tag)
			}
		}
		return members
	}
	return nil
}
