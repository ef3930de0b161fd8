package registration

import "encoding/json"

type (
	// Line is a line that the person reads: its Text, and its Place on the page.
	Line struct {
		Text  string `json:"text"`
		Place string `json:"place"`
	}

	// Update is an Attribute that Okta sets on the user, to a Value.
	Update struct {
		Attribute string          `json:"attribute"`
		Value     json.RawMessage `json:"value"`
	}
)
