package okta_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/test/vectors"
)

var emailAndLogin = []string{"email", "login"}

func TestDecodeRefuses(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

	for sentence, test := range map[string]struct {
		body string
		want error
	}{
		"an empty body":                               {"", okta.NotJSON},
		"white space only":                            {" \n", okta.NotJSON},
		"a byte order mark":                           {"\ufeff{}", okta.NotJSON},
		"an object that ends early":                   {`{"eventType":"x"`, okta.NotJSON},
		"a comment":                                   {`{/**/}`, okta.NotJSON},
		"a trailing comma":                            {`{"a":1,}`, okta.NotJSON},
		"a member name that is no string":             {`{1:2}`, okta.NotJSON},
		"single quotes":                               {`{'a':1}`, okta.NotJSON},
		"invalid UTF-8 in an attribute":               {"{\"data\":{\"userProfile\":{\"email\":\"\xff\"}}}", okta.NotJSON},
		"invalid UTF-8 in an unknown member's name":   {"{\"\xff\":1}", okta.NotJSON},
		"a lone surrogate in an unknown member":       {`{"x":"\ud800"}`, okta.NotJSON},
		"half a pair before text like the other half": {`{"x":"\ud83daude00"}`, okta.NotJSON},
		"half a pair before no known escape":          {`{"x":"\ud83d\xde00"}`, okta.NotJSON},
		"a letter after F in an escape":               {`{"x":"\u00G0"}`, okta.NotJSON},
		"a letter after f in an escape":               {`{"x":"\u00g0"}`, okta.NotJSON},
		"a character between 9 and A in an escape":    {`{"x":"\u00:0"}`, okta.NotJSON},
		"a body that ends in an escape":               {`{"x":"\u00`, okta.NotJSON},
		"UTF-16":                                      {"{\x00}\x00", okta.NotJSON},
		"a second value":                              {`{}{}`, okta.TrailingData},
		"junk after the value":                        {`{} x`, okta.TrailingData},
		"a NUL after the value":                       {"{}\x00", okta.TrailingData},
		"a member twice":                              {`{"a":1,"a":1}`, okta.DuplicateMember},
		"a member twice, once with escapes":           {`{"eventType":"x","event\u0054ype":"x"}`, okta.DuplicateMember},
		"a member twice in the profile":               {`{"data":{"userProfile":{"email":"a","email":"b"}}}`, okta.DuplicateMember},
		"a member twice in an ignored attribute":      {`{"data":{"userProfile":{"x":{"a":1,"a":2}}}}`, okta.DuplicateMember},
		"a member twice in an unknown member":         {`{"x":[{"a":1,"a":2}]}`, okta.DuplicateMember},
		"a member twice where an id should be":        {`{"source":{"a":1,"a":2}}`, okta.DuplicateMember},
		"the profile twice":                           {`{"data":{"userProfile":{},"userProfile":{}}}`, okta.DuplicateMember},
		"33 levels":                                   {`{"x":` + nested(32) + `}`, okta.TooDeep},
		"33 levels in an attribute":                   {`{"data":{"userProfile":{"email":` + nested(30) + `}}}`, okta.TooDeep},
		"33 levels where the data should be":          {`{"data":` + nested(32) + `}`, okta.TooDeep},
		"a text of 10,000 open brackets":              {strings.Repeat("[", 10_000), okta.TooDeep},
		"257 members":                                 {`{` + manyMembers(256) + `"x":0}`, okta.TooManyMembers},
		"257 members in data":                         {`{"data":{` + manyMembers(256) + `"x":0}}`, okta.TooManyMembers},
		"257 members in an unknown member":            {`{"x":[{` + manyMembers(256) + `"x":0}]}`, okta.TooManyMembers},
		"257 members where an id should be":           {`{"source":{` + manyMembers(256) + `"x":0}}`, okta.TooManyMembers},
		"257 members in the user's present profile":   {`{"data":{"context":{"user":{"profile":{` + manyMembers(256) + `"x":0}}}}}`, okta.TooManyMembers},
		"one byte more than is read":                  {`"` + strings.Repeat("a", okta.MaxBody-1) + `"`, okta.TooLarge},
		"a fault after a good profile":                {`{"data":{"userProfile":{"email":"a@example.com"}},}`, okta.NotJSON},
		"a number that JSON does not know":            {`{"x":01}`, okta.NotJSON},
		"a control character in a string":             {"{\"x\":\"\n\"}", okta.NotJSON},
		"a close bracket of the other kind":           {`{"x":[}]`, okta.NotJSON},
		"a colon missing":                             {`{"x" 1}`, okta.NotJSON},
		"an object that closes before a name's value": {`{"x"}`, okta.NotJSON},
	} {
		t.Run(sentence, func(t *testing.T) {
			request, err := okta.Decode([]byte(test.body), emailAndLogin)
			if err != test.want {
				t.Errorf("got error %v, want %v", err, test.want)
			}
			if diff := cmp.Diff(okta.Request{}, request); diff != "" {
				t.Errorf("a refused body left something behind:\n%s", diff)
			}
		})
	}
}

func TestDecodeReads(t *testing.T) {
	profile := func(email, login okta.Attribute) okta.Profile {
		email.Name, login.Name = "email", "login"
		return okta.Profile{Presence: okta.Present, Attributes: []okta.Attribute{email, login}}
	}
	text := func(s string) okta.Attribute { return okta.Attribute{Kind: okta.String, Text: s} }
	other := okta.Attribute{Kind: okta.Other}
	wrong := okta.Profile{Presence: okta.WrongType}

	for sentence, test := range map[string]struct {
		body string
		want okta.Request
	}{
		"null":               {`null`, okta.Request{}},
		"an array":           {`[]`, okta.Request{}},
		"a string":           {`"x"`, okta.Request{}},
		"an empty object":    {` {} `, okta.Request{}},
		"data of wrong type": {`{"data":[]}`, okta.Request{}},
		"ids of other types": {
			`{"eventId":1,"eventType":["x"],"source":{"a":null},"data":{"context":{"request":{"id":true}}}}`, okta.Request{},
		},
		"a context of another type": {`{"data":{"context":[{"request":{"id":"x"}}]}}`, okta.Request{}},
		"a requestType of null":     {`{"requestType":null}`, okta.Request{}},
		"a requestType that is no string": {
			`{"requestType":7}`, okta.Request{HasRequestType: true},
		},
		"profiles of wrong type": {
			`{"data":{"userProfile":"x","userProfileUpdate":[]}}`, okta.Request{Profile: wrong, Update: wrong},
		},
		"profiles of null": {`{"data":{"userProfile":null,"userProfileUpdate":null}}`, okta.Request{}},
		"a good profile beside one of wrong type": {
			`{"data":{"userProfileUpdate":1,"userProfile":{"email":"a@example.com"}}}`,
			okta.Request{Profile: profile(text("a@example.com"), okta.Attribute{}), Update: wrong},
		},
		"attributes of all types": {
			`{"data":{"userProfile":{"email":{"email":"x"},"login":null},"userProfileUpdate":{"login":false,"email":1e400}}}`,
			okta.Request{Profile: profile(other, okta.Attribute{Kind: okta.Null}), Update: profile(other, other)},
		},
		"names compared by case, and names with escapes": {
			`{"EventType":"x","data":{"userProfile":{"Email":"x","e\u006dail":"a\u0040example.com"}}}`,
			okta.Request{Profile: profile(text("a@example.com"), okta.Attribute{})},
		},
		"wanted names elsewhere": {
			`{"userProfile":{"email":"x"},"data":{"context":{"user":{"profile":{"login":"x"}}},"userProfile":{"x":{"email":"x"}}}}`,
			okta.Request{Profile: profile(okta.Attribute{}, okta.Attribute{})},
		},
		"versions as numbers, unknown members, all ids": {
			`{"eventTypeVersion":1.0,"cloudEventVersion":0.1,"z":[[]],"eventId":"e","eventType":"t","source":"s",
			"requestType":"r","data":{"context":{"request":{"id":"i"}}}}`,
			okta.Request{EventID: "e", EventType: "t", Source: "s", RequestID: "i", RequestType: "r", HasRequestType: true},
		},
		"escapes with every kind of digit": {
			`{"eventId":"\u0990\uABCD\uabcd\uAFFA\uaffa\uD83D\ude00"}`, okta.Request{EventID: "\u0990\uabcd\uabcd\uaffa\uaffa\U0001f600"},
		},
		"a replacement character":                              {`{"eventId":"\uFFFD"}`, okta.Request{EventID: "\ufffd"}},
		"a replacement character without an escape":            {"{\"eventId\":\"\ufffd\"}", okta.Request{EventID: "\ufffd"}},
		"more than 32 values with levels, one after the other": {`{"x":[` + strings.Repeat("[],{},", 40) + `0],"eventId":"e"}`, okta.Request{EventID: "e"}},
		"as many bytes as are read":                            {`"` + strings.Repeat("a", okta.MaxBody-2) + `"`, okta.Request{}},
		"32 levels":                                            {`{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, okta.Request{}},
		"256 members, and many more in the profile": {
			`{"data":{"userProfile":{` + manyMembers(5000) + `"email":"a@example.com"}},` + manyMembers(254) + `"x":0}`,
			okta.Request{Profile: profile(text("a@example.com"), okta.Attribute{})},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := okta.Decode([]byte(test.body), emailAndLogin)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The scanner looks at eight bytes at once, and at single ones at the end of a text.
func TestDecodeReadsEachByteAtEachPlaceOfAString(t *testing.T) {
	const length, around = 20, "a 0Z~"
	for at := range length {
		for i := range 256 * len(around) {
			c := i % 256
			text := bytes.Repeat([]byte{around[i/256]}, length)
			text[at] = byte(c)
			if c == '\\' && at+1 < length {
				text[at+1] = 'a' // which no escape has
			}
			got, err := okta.Decode(slices.Concat([]byte(`{"eventId":"`), text, []byte(`"}`)), emailAndLogin)
			if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
				if err != okta.NotJSON {
					t.Errorf("byte %#x at %d: error %v, want %v", c, at, err, okta.NotJSON)
				}
				continue
			}
			if err != nil || got.EventID != string(text) {
				t.Errorf("byte %#x at %d: %q, %v", c, at, got.EventID, err)
			}
		}
		text := strings.Repeat("a", at) + "é€\U0001f600" + strings.Repeat("a", length-at)
		if got, err := okta.Decode([]byte(`{"eventId":"`+text+`"}`), emailAndLogin); err != nil || got.EventID != text {
			t.Errorf("runes at %d: %q, %v", at, got.EventID, err)
		}
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	return b.String()
}

func TestOktasOwnCalls(t *testing.T) {
	for _, file := range vectors.OktaRequests() {
		t.Run(file.Name, func(t *testing.T) {
			r, err := okta.Decode(file.Body, emailAndLogin)
			if err != nil {
				t.Fatal(err)
			}
			if r.EventType != okta.EventType || r.Source == "" || r.RequestID == "" {
				t.Errorf("eventType %q, source %q, request id %q", r.EventType, r.Source, r.RequestID)
			}
			contradicts := file.Name == "oie-progressive-conflicting-requesttype.json"
			if r.RequestTypeContradicts() != contradicts {
				t.Errorf("requestType %q contradicts: %t, want %t", r.RequestType, !contradicts, contradicts)
			}
		})
	}
	t.Logf("Okta's calls: %d files", len(vectors.OktaRequests()))
}

func TestRequestTypeContradicts(t *testing.T) {
	for sentence, test := range map[string]struct {
		body string
		want bool
	}{
		"absent, sign-up":                {`{"data":{"userProfile":{}}}`, false},
		"absent, update":                 {`{"data":{"userProfileUpdate":{}}}`, false},
		"absent, both":                   {`{"data":{"userProfileUpdate":{},"userProfile":{}}}`, true},
		"self-service, sign-up":          {`{"requestType":"self.service.registration","data":{"userProfile":{}}}`, false},
		"self-service, update":           {`{"requestType":"self.service.registration","data":{"userProfileUpdate":{}}}`, true},
		"self-service, sign-up and null": {`{"requestType":"self.service.registration","data":{"userProfile":{},"userProfileUpdate":null}}`, false},
		"progressive, update":            {`{"requestType":"progressive.profile","data":{"userProfileUpdate":{}}}`, false},
		"progressive, sign-up":           {`{"requestType":"progressive.profile","data":{"userProfile":{}}}`, true},
		"progressive, both":              {`{"requestType":"progressive.profile","data":{"userProfile":{},"userProfileUpdate":{}}}`, true},
		"unknown":                        {`{"requestType":"x","data":{"userProfile":{}}}`, true},
		"of another case":                {`{"requestType":"Self.Service.Registration","data":{"userProfile":{}}}`, true},
		"empty":                          {`{"requestType":"","data":{"userProfile":{}}}`, true},
		"not a string":                   {`{"requestType":[],"data":{"userProfile":{}}}`, true},
		"present, without data":          {`{"requestType":"self.service.registration"}`, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			r, err := okta.Decode([]byte(test.body), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.RequestTypeContradicts(); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// FuzzDecode: whatever the body, Decode does not panic. What it accepts, a lax decoder reads the same: no second
// member of any name can give another program another address. What it refuses leaves nothing behind.
func FuzzDecode(f *testing.F) {
	for _, body := range vectors.Bodies() {
		if len(body.Body) <= okta.MaxBody {
			f.Add(body.Body)
		}
	}
	for _, file := range vectors.OktaRequests() {
		f.Add(file.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := okta.Decode(body, emailAndLogin)
		if err != nil {
			if _, ok := err.(okta.Malformed); !ok {
				t.Errorf("error of type %T", err)
			}
			if diff := cmp.Diff(okta.Request{}, r); diff != "" {
				t.Errorf("a refused body left something behind:\n%s", diff)
			}
			return
		}
		lax := func(raw json.RawMessage) map[string]json.RawMessage {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				return nil
			}
			return object
		}
		if !json.Valid(body) {
			t.Fatal("accepted what is not JSON")
		}
		top := lax(body)
		checkMembersUnique(t, body)
		checkText(t, "eventType", top["eventType"], r.EventType)
		checkText(t, "source", top["source"], r.Source)
		data := lax(top["data"])
		for name, profile := range map[string]okta.Profile{"userProfile": r.Profile, "userProfileUpdate": r.Update} {
			raw, there := data[name]
			object := lax(raw)
			want := okta.WrongType
			switch {
			case !there || string(raw) == "null":
				want = okta.Absent
			case object != nil:
				want = okta.Present
			}
			if profile.Presence != want {
				t.Fatalf("%s: presence %d, want %d", name, profile.Presence, want)
			}
			for _, attribute := range profile.Attributes {
				raw, there := object[attribute.Name]
				if there != (attribute.Kind != okta.Missing) || (string(raw) == "null") != (attribute.Kind == okta.Null) {
					t.Errorf("%s.%s: kind %d", name, attribute.Name, attribute.Kind)
				}
				if isString := there && raw[0] == '"'; isString != (attribute.Kind == okta.String) {
					t.Errorf("%s.%s: kind %d", name, attribute.Name, attribute.Kind)
				}
				checkText(t, attribute.Name, raw, attribute.Text)
			}
		}
	})
}

// FuzzDecodeLikeTheReference: Decode returns what a general decoder of JSON makes of the same body: the same request, or
// the same class of error.
func FuzzDecodeLikeTheReference(f *testing.F) {
	for _, body := range vectors.Bodies() {
		if len(body.Body) <= okta.MaxBody {
			f.Add(body.Body)
		}
	}
	for _, file := range vectors.OktaRequests() {
		f.Add(file.Body)
	}
	for _, body := range []string{
		`{"a\u0062":"\ud83d\ude00\n\/\b","x":[-0.5e+10,0,1E9,true,false,null,{}]}`,
		`{"source":"\ud83d","x":1}`, `{"source":"\ud83d\ud83d"}`, `{"source":"\ude00"}`, `{"source":"\u12"}`, `{"source":"é\u00e9`,
		`{"":1,"":2}`, `{` + manyMembers(40) + `"k7":1}`, `{"data":{"userProfile":{` + manyMembers(40) + `"k39":1}}}`,
		`{` + manyMembers(256) + `}`, `{` + manyMembers(255) + `"x":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a":}`, `-`, `1.`, `1e`, `nul`, `"`, `[1 2]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := referenceDecode(body, emailAndLogin)
		got, err := okta.Decode(body, emailAndLogin)
		if err != wantErr {
			t.Fatalf("error %v, the reference's is %v", err, wantErr)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-reference +got)\n%s", diff)
		}
	})
}

func checkText(t *testing.T, name string, raw json.RawMessage, got string) {
	t.Helper()
	var want string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
	}
	if got != want {
		t.Errorf("%s: %q, and a lax decoder reads %q", name, got, want)
	}
}

// checkMembersUnique fails if some object of a JSON text has two members of one name.
func checkMembersUnique(t *testing.T, body []byte) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	var value func()
	value = func() {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		delim, _ := token.(json.Delim)
		if delim == 0 {
			return
		}
		names := map[string]bool{}
		for decoder.More() {
			if delim == '{' {
				name, err := decoder.Token()
				if err != nil {
					t.Fatal(err)
				}
				if names[name.(string)] {
					t.Fatal("accepted a member twice")
				}
				names[name.(string)] = true
			}
			value()
		}
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
	}
	value()
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"eventId":"04Dmt8BcT_aEgM","eventTime":"2022-04-25T17:35:27.000Z","eventType":"` + okta.EventType + `",
		"eventTypeVersion":1,"contentType":"application/json","cloudEventVersion":0.1,"source":"regt4qeBKU29vSoPz0g3",
		"requestType":"self.service.registration","data":{"context":{"request":{"method":"POST","ipAddress":"127.0.0.1",
		"id":"123dummyId456","url":{"value":"/idp/idx/enroll/new"}}},"userProfile":{"firstName":"Rosario","lastName":"Jones",
		"login":"rosario.jones@example.com","email":"rosario.jones@example.com","pad":"` + strings.Repeat("a", 332) + `"},
		"action":"ALLOW"}}`)
	if len(body) != 898 {
		b.Fatalf("%d bytes", len(body))
	}
	for name, decode := range map[string]func([]byte, []string) (okta.Request, error){
		"decode": okta.Decode, "reference": referenceDecode,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body, emailAndLogin); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
