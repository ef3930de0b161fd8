package v1alpha1_test

import (
	"encoding/json"
	"testing"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

func TestJSONValueKeepsItsText(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"a string":                            {`"a"`, `"a"`},
		"a number keeps its digits":           {`10000000000000000000000001`, `10000000000000000000000001`},
		"false is not unset":                  {`false`, `false`},
		"a list of strings":                   {`["a","b"]`, `["a","b"]`},
		"null":                                {`null`, `null`},
		"an object, which the schema refuses": {`{"a":1}`, `{"a":1}`},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			var attribute v1alpha1.ProfileAttribute
			if err := json.Unmarshal([]byte(`{"attribute":"a","value":`+c.text+`}`), &attribute); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(attribute.Value)
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestNewJSONValue(t *testing.T) {
	value, err := v1alpha1.NewJSONValue([]string{"a", "b"})
	if err != nil || string(value.Raw) != `["a","b"]` {
		t.Errorf("got %s, %v", value.Raw, err)
	}
	if unset, err := json.Marshal(v1alpha1.JSONValue{}); err != nil || string(unset) != "null" {
		t.Errorf("the zero value is %s, %v; want null", unset, err)
	}
}
