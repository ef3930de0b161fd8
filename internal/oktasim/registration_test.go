package oktasim_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/vectors"
)

func TestARegistrationIsSentAsOktasOwnSampleOfItsShape(t *testing.T) {
	at := func(s string) time.Time {
		t.Helper()
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for sample, registration := range map[string]oktasim.Registration{
		"classic-docs.json": {
			Shape: oktasim.ClassicSignUp, Source: "reghawlks3zOkRrau0h7",
			Email: "john.doe@example.com", Profile: map[string]any{"firstName": "John", "lastName": "Doe"},
			RequestID: "XWVxW2zcaH5-Ii74OsI6CgAACJw", EventID: "GOsk4z6tSSeZo6X08MvKaw",
			Time: at("2019-08-27T18:07:24Z"), IPAddress: "98.124.153.138",
		},
		"oie-ssr.json": {
			Shape: oktasim.SignUp, Source: "regt4qeBKU29vSoPz0g3", Email: "rosario.jones@example.com",
			RequestID: "123dummyId456", EventID: "04Dmt8BcT_aEgM",
			Time: at("2022-04-25T17:35:27Z"), IPAddress: "127.0.0.1",
		},
		"oie-progressive.json": {
			Shape: oktasim.ProgressiveProfile, Source: "regt4qeBKU29vS", Login: "rosario.jones@example.com",
			Update:    map[string]any{"employeeNumber": "1234"},
			RequestID: "123dummyId456", EventID: "vzYp_zMwQu2htIWRbNJdfw", UserID: "00u48gwcu01WxvNol0g7",
			Time: at("2022-04-25T04:04:41Z"), IPAddress: "127.0.0.1",
		},
	} {
		t.Run(sample, func(t *testing.T) {
			call, err := registration.Call()
			if err != nil {
				t.Fatal(err)
			}
			want := decode(t, payload(t, vectors.OktaRequests(), sample))
			if registration.Shape == oktasim.ProgressiveProfile {
				// The sample's user has one id in his links and a shorter one for himself.
				body := want["data"].(map[string]any)["context"].(map[string]any)["user"].(map[string]any)
				body["id"] = registration.UserID
			}
			if diff := cmp.Diff(want, decode(t, call.Body)); diff != "" {
				t.Errorf("body (-sample +ours):\n%s", diff)
			}
			if call.RequestID != registration.RequestID || call.Shape != registration.Shape {
				t.Errorf("call is %s with id %q", call.Shape, call.RequestID)
			}
		})
	}
}

func TestARecordedBodyTellsItsShapeAndRequestID(t *testing.T) {
	const signUp, classic, progressive = oktasim.SignUp, oktasim.ClassicSignUp, oktasim.ProgressiveProfile
	want := map[string]oktasim.Call{
		"classic-capture.json":                         {Shape: classic, RequestID: "Xc1assicCapture@AAABzM"},
		"classic-docs.json":                            {Shape: classic, RequestID: "XWVxW2zcaH5-Ii74OsI6CgAACJw"},
		"draft-2018-obsolete.json":                     {Shape: signUp, RequestID: "reqa-0DCpdKQe-td_UodXKpag"},
		"oie-early-no-requesttype.json":                {Shape: signUp, RequestID: "reqQFcZNuvhRj2VZbngrI2ZJA"},
		"oie-progressive-conflicting-requesttype.json": {Shape: progressive, RequestID: "reqQsH_sl8TSiu9WTC3VfS7yw"},
		"oie-progressive-numeric.json":                 {Shape: progressive, RequestID: "123dummyId456"},
		"oie-progressive.json":                         {Shape: progressive, RequestID: "123dummyId456"},
		"oie-ssr-no-event-id.json":                     {Shape: signUp, RequestID: "123dummyId456"},
		"oie-ssr-numeric-versions.json":                {Shape: signUp, RequestID: "123dummyId456"},
		"oie-ssr.json":                                 {Shape: signUp, RequestID: "123dummyId456"},
	}
	for _, sample := range vectors.OktaRequests() {
		t.Run(sample.Name, func(t *testing.T) {
			got, err := oktasim.ParseCall(sample.Body)
			if err != nil {
				t.Fatal(err)
			}
			call := want[sample.Name]
			call.Body = sample.Body
			if diff := cmp.Diff(call, got); diff != "" {
				t.Errorf("call (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := oktasim.ParseCall([]byte("[]")); err == nil {
		t.Error("a list was taken for a call")
	}
}

func TestWhatARegistrationLeavesOut(t *testing.T) {
	type object = map[string]any
	for sentence, c := range map[string]struct {
		registration oktasim.Registration
		member       string
		want         object
	}{
		"a sensitive email is not sent": {
			registration: oktasim.Registration{Login: "jo"},
			member:       "userProfile",
			want:         object{"firstName": "Rosario", "lastName": "Jones", "login": "jo"},
		},
		"the profile's own members win, null included": {
			registration: oktasim.Registration{Email: "jo@acme.com", Profile: object{"login": nil, "lastName": "Ito"}},
			member:       "userProfile",
			want:         object{"firstName": "Rosario", "lastName": "Ito", "login": nil, "email": "jo@acme.com"},
		},
		"a progressive profile without an update still has the member": {
			registration: oktasim.Registration{Shape: oktasim.ProgressiveProfile},
			member:       "userProfileUpdate",
			want:         object{},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			call, err := c.registration.Call()
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, call.Body)["data"].(object)[c.member]
			if diff := cmp.Diff(any(c.want), got); diff != "" {
				t.Errorf("data.%s (-want +got):\n%s", c.member, diff)
			}
		})
	}
}

func TestARegistrationWithAFieldOfAnotherShapeIsRefused(t *testing.T) {
	for sentence, registration := range map[string]oktasim.Registration{
		"an update in a sign-up":            {Update: map[string]any{"a": "b"}},
		"an update in a Classic sign-up":    {Shape: oktasim.ClassicSignUp, Update: map[string]any{}},
		"an email in a progressive profile": {Shape: oktasim.ProgressiveProfile, Email: "jo@acme.com"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, err := registration.Call(); !errors.Is(err, oktasim.ErrShape) {
				t.Errorf("error is %v, want ErrShape", err)
			}
		})
	}
}

// payload returns the body of Okta's that has this name.
func payload(t *testing.T, files []vectors.File, name string) []byte {
	t.Helper()
	i := slices.IndexFunc(files, func(f vectors.File) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no payload %s", name)
	}
	return files[i].Body
}

func decode(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
