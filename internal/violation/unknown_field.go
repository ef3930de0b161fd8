package violation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// unknownField is the start of Detail in each violation that UnknownField returns.
const unknownField = "unknown field"

// IsFieldName reports whether a text looks like the path of a field, rather than an address in the wrong place.
var IsFieldName = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]+$`).MatchString

// hidden replaces the part of a path that may hold an address.
const hidden = "…"

// UnknownField returns the violation of a field that the schema does not know. known are the fields that the schema
// allows in the same object. elsewhere are the paths of other objects, in which it allows a field of this name.
func UnknownField(path string, known, elsewhere []string) *field.Error {
	if !IsFieldName(strings.TrimSuffix(path, hidden)) {
		path = hidden
	}
	const maxPlaces = 2 // more places in the message would not help the author to find the right one
	violation := &field.Error{Type: field.ErrorTypeForbidden, Field: path, Detail: unknownField}
	name := path[strings.LastIndex(path, ".")+1:]
	meant := nearest(name, known)
	switch {
	case meant != "":
		suggest(violation, meant)
	case 0 < len(elsewhere) && len(elsewhere) <= maxPlaces:
		violation.Detail += "; write it in " + strings.Join(elsewhere, " or ")
		violation.BadValue = elsewhere
	case len(known) > 0:
		violation.Detail += "; the fields here are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	}
	return violation
}

// suggest adds to a violation the name of the field that the author of the unknown field probably meant.
func suggest(violation *field.Error, meant string) {
	violation.Detail = fmt.Sprintf("%s; did you mean %s?", unknownField, meant)
	violation.BadValue = meant
}

// elsewhereOf returns the paths of the objects in which the author of an unknown field may have meant to write it.
func elsewhereOf(violation *field.Error) []string {
	elsewhere, _ := violation.BadValue.([]string)
	return elsewhere
}

func isUnknownField(violation *field.Error) bool {
	return violation.Type == field.ErrorTypeForbidden && strings.HasPrefix(violation.Detail, unknownField)
}

// meantBy returns the name of the field that the author of an unknown field probably meant, "" if no name is similar.
func meantBy(violation *field.Error) string {
	meant, _ := violation.BadValue.(string)
	return meant
}

// synonyms maps names that authors guess to the field that they mean. Both are in the form that plainName returns.
var synonyms = map[string]string{
	"email": "addresses", "emails": "addresses", "mail": "addresses", "user": "addresses", "users": "addresses",
	"publicsuffixes": "domains", // spec.deny has no publicSuffixes, because its domains may be public suffixes
}

// nearest returns the name among known that the author of name probably meant, or "" if none is similar.
func nearest(name string, known []string) string {
	const maxLength = 40 // bytes: all known names are shorter, and a long text would make editDistance slow
	if name = plainName(name); len(name) > maxLength {
		return ""
	}
	mostErrors := min(2, max(1, len(name)/3)) // two, or one in a name of fewer than six letters
	best, bestDistance := "", mostErrors+1
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		plain := plainName(candidate)
		distance := editDistance(name, plain)
		switch {
		case plain == synonyms[name], plain == strings.TrimSuffix(name, "ies")+"y", name == strings.TrimSuffix(plain, "ies")+"y":
			distance = 1
		case len(name) >= 4 && strings.HasPrefix(plain, name) && len(plain) <= len(name)+3:
			distance = min(distance, 2)
		}
		if distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// plainName returns a name in lower case, without the characters between its words.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(name))
}

// editDistance returns how many bytes must be inserted, removed, replaced or swapped with the next to turn a into b. It
// is the optimal string alignment distance.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1) // rows[i][j] is the distance from a[:i] to b[:j]
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
