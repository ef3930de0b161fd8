package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// helpSections are the headings of a command's help, with the headings of manual pages. What is above the first one
// describes the command.
var helpSections = map[string]string{"Usage:": "SYNOPSIS", "Examples:": "EXAMPLES", "Flags:": "OPTIONS", "Available Commands:": "COMMANDS"}

// helpFlag matches the line of a flag: its names, and what it says after two or more blanks.
var helpFlag = regexp.MustCompile(`^ +(-.*?\S)  +(\S.*)$`)

// manualPages returns the manual pages of a program and its commands, by file name, from their helps. help returns
// what the command of these words prints for --help.
func manualPages(help func(words ...string) (string, error), version string, date time.Time) (map[string]string, error) {
	pages := map[string]string{}
	var add func(short string, words ...string) error
	add = func(short string, words ...string) error {
		text, err := help(words...)
		if err != nil {
			return err
		}
		sections := splitHelp(text)
		var related []string
		for _, command := range commandsOf(sections["COMMANDS"]) {
			if command.name == "help" || command.name == "completion" {
				continue
			}
			related = append(related, strings.Join(append([]string{"regpol"}, append(words, command.name)...), "-"))
			if err := add(command.short, append(slices.Clip(words), command.name)...); err != nil {
				return err
			}
		}
		if len(words) > 0 {
			related = append([]string{strings.Join(append([]string{"regpol"}, words[:len(words)-1]...), "-")}, related...)
		}
		name := strings.Join(append([]string{"regpol"}, words...), "-")
		pages[name+".1"] = manualPage(name, short, sections, related, version, date)
		return nil
	}
	return pages, add("check, test, compare and explain policies about who may sign up to an Okta org")
}

// command is a line of a help's list of commands.
type command struct{ name, short string }

func commandsOf(section string) []command {
	var commands []command
	for line := range strings.Lines(section) {
		if name, short, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			commands = append(commands, command{name, strings.TrimSpace(short)})
		}
	}
	return commands
}

// splitHelp returns the sections of a help by the headings of manual pages.
func splitHelp(text string) map[string]string {
	sections := map[string]string{}
	current := "DESCRIPTION"
	for line := range strings.Lines(text) {
		if heading, ok := helpSections[strings.TrimSpace(line)]; ok && !strings.HasPrefix(line, " ") {
			current = heading
			continue
		}
		if strings.HasPrefix(line, `Use "`) {
			continue // says how to get the help of a command
		}
		sections[current] += line
	}
	for heading, text := range sections {
		sections[heading] = strings.Trim(text, "\n")
	}
	return sections
}

// manualPage returns a manual page in roff.
func manualPage(name, short string, sections map[string]string, related []string, version string, date time.Time) string {
	var page strings.Builder
	write := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	write(`.TH %s 1 %s "regpol %s" "regpol"`, roff(strings.ToUpper(name)), date.Format(time.DateOnly), version)
	write(".ad l") // flags are long words
	write(".SH NAME")
	write(`%s \- %s`, roff(name), roff(strings.ToLower(short[:1])+short[1:]))
	for _, heading := range []string{"SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXAMPLES"} {
		text := sections[heading]
		if text == "" {
			continue
		}
		write(".SH %s", heading)
		if heading == "OPTIONS" {
			writeOptions(write, text)
			continue
		}
		write(".nf") // the lines of a help are broken where they should be
		for line := range strings.Lines(text) {
			write("%s", roff(strings.TrimSuffix(line, "\n")))
		}
		write(".fi")
	}
	if len(related) > 0 {
		write(".SH SEE ALSO")
		for i, page := range related {
			write(`.BR %s (1)%s`, roff(page), map[bool]string{true: ",", false: ""}[i < len(related)-1])
		}
	}
	return page.String()
}

// writeOptions writes each flag as a paragraph with a tag.
func writeOptions(write func(format string, args ...any), text string) {
	for line := range strings.Lines(text) {
		match := helpFlag.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			write("%s", roff(strings.TrimSpace(line))) // continues the flag above
			continue
		}
		write(".TP")
		write(`\fB%s\fR`, roff(match[1]))
		write("%s", roff(match[2]))
	}
}

// roff escapes a line of text.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`).Replace(line)
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
