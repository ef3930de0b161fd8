package oktasim

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Default identifiers of a [Registration]. They are invented, in the formats of Okta.
const (
	defaultClassicSource = "reghawlks3zOkRrau0h7"
	defaultSource        = "rul1bufGk5dJdRYw50g4"
	defaultUserID        = "00u48gwcu01WxvNol0g7"
	defaultIPAddress     = "203.0.113.7" // RFC 5737: for documentation
)

// Registration is what the person typed into the form, and what Okta knows about the person. The zero value is a sign-up
// on Identity Engine without login and email.
type Registration struct {
	// Shape is the kind of the call.
	Shape Shape
	// Source is the id of the enrolment policy or rule in Okta that calls the hook. Unset: an invented id.
	Source string

	// Login is the user's login. A sign-up has it in data.userProfile, a progressive profile in
	// data.context.user.profile. Unset means Email.
	Login string
	// Email is the member email of data.userProfile in a sign-up. If it is unset, the call has no email, as for an
	// attribute that is marked sensitive in Okta. A progressive profile must not set it: its email is in Update.
	Email string
	// Profile has more attributes: those of the form in a sign-up, those of the existing user in a progressive profile.
	// They replace all others of the same name, including login and email. A nil value is sent as null.
	Profile map[string]any
	// Update has the changed attributes of a progressive profile, which are sent as data.userProfileUpdate. A sign-up
	// must not set it.
	Update map[string]any

	// RequestID is data.context.request.id, the id of the call in Okta's System Log. Unset: a random id.
	RequestID string
	// EventID is the event's id. Unset: a random id.
	EventID string
	// Time is the event's time. Unset: now.
	Time time.Time
	// IPAddress is the person's IP address. Unset: an address that is reserved for documentation (RFC 5737).
	IPAddress string
	// UserID is the id of the user in a progressive profile. Unset: an invented id.
	UserID string
}

// Call is a call as Okta sends it.
type Call struct {
	// Shape says how Okta reads the answer.
	Shape Shape
	// RequestID is sent as the header X-Okta-Request-Id. Unset leaves the header out.
	RequestID string
	// Body is the JSON text.
	Body []byte
}

// ErrShape is the error of a registration with a field that its shape does not have.
var ErrShape = errors.New("field does not belong to this shape of call")

// Call returns Okta's call for r. It fails with [ErrShape] if r has fields of another shape, and if a value cannot be
// encoded as JSON.
func (r Registration) Call() (Call, error) {
	if r.Shape == ProgressiveProfile && r.Email != "" {
		return Call{}, fmt.Errorf("email of a progressive profile: set it in Update: %w", ErrShape)
	}
	if r.Shape != ProgressiveProfile && r.Update != nil {
		return Call{}, fmt.Errorf("update of a sign-up: set the attributes in Profile: %w", ErrShape)
	}
	requestID := cmp.Or(r.RequestID, "req"+rand.Text())
	body, err := json.Marshal(r.event(requestID), json.Deterministic(true))
	if err != nil {
		return Call{}, fmt.Errorf("write the call: %w", err)
	}
	return Call{Shape: r.Shape, RequestID: requestID, Body: body}, nil
}

func (r Registration) event(requestID string) event {
	e := event{
		EventID:           cmp.Or(r.EventID, rand.Text()),
		EventTime:         cmp.Or(r.Time, time.Now()).UTC().Format("2006-01-02T15:04:05.000Z"),
		EventType:         "com.okta.user.pre-registration",
		EventTypeVersion:  "1.0",
		ContentType:       "application/json",
		CloudEventVersion: "0.1",
		Source:            cmp.Or(r.Source, defaultSource),
	}
	e.Body.Context.Request = request{
		Method: "POST", IPAddress: cmp.Or(r.IPAddress, defaultIPAddress), ID: requestID,
	}
	url := &e.Body.Context.Request.URL.Value
	e.Body.Action = new("ALLOW")
	switch r.Shape {
	case ClassicSignUp:
		e.Source = cmp.Or(r.Source, defaultClassicSource)
		*url = "/api/v1/registration/" + e.Source + "/register"
		e.Body.Action = nil
		e.Body.UserProfile = r.userProfile()
	case ProgressiveProfile:
		*url = "/idp/idx/enroll/update"
		e.RequestType = "progressive.profile"
		e.Body.Context.User = r.user()
		e.Body.UserProfileUpdate = r.Update
		if r.Update == nil {
			e.Body.UserProfileUpdate = map[string]any{} // sent even if empty: it makes the call a progressive profile
		}
	default:
		*url = "/idp/idx/enroll/new"
		e.RequestType = "self.service.registration"
		e.Body.UserProfile = r.userProfile()
	}
	return e
}

func (r Registration) userProfile() map[string]any {
	profile := map[string]any{"firstName": "Rosario", "lastName": "Jones"}
	if login := cmp.Or(r.Login, r.Email); login != "" {
		profile["login"] = login
	}
	if r.Email != "" {
		profile["email"] = r.Email
	}
	maps.Copy(profile, r.Profile)
	return profile
}

func (r Registration) user() *user {
	u := &user{ID: cmp.Or(r.UserID, defaultUserID), PasswordChanged: "2022-01-01T00:00:00.000Z"}
	u.Profile = map[string]any{
		"firstName": "Rosario", "lastName": "Jones", "locale": "en_US", "timeZone": "America/Los_Angeles",
	}
	if r.Login != "" {
		u.Profile["login"] = r.Login
	}
	maps.Copy(u.Profile, r.Profile)
	u.Links.Groups.Href = "/api/v1/users/" + u.ID + "/groups"
	u.Links.Factors.Href = "/api/v1/users/" + u.ID + "/factors"
	return u
}

// ParseCall returns the call with a recorded body, and reads its shape and request id. It takes the shape from the
// members of data, because the member requestType is missing in Classic and was wrong in a recorded call. If data does
// not show the shape, the call is an Identity Engine sign-up. ParseCall fails if the body, or a member that is an
// object in Okta's calls, is not a JSON object.
func ParseCall(body []byte) (Call, error) {
	var e struct {
		Body struct {
			Context struct {
				Request struct {
					ID jsontext.Value `json:"id"`
				} `json:"request"`
			} `json:"context"`
			Action            jsontext.Value `json:"action"`
			UserProfileUpdate jsontext.Value `json:"userProfileUpdate"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Call{}, fmt.Errorf("read the call: %w", err)
	}
	call := Call{Body: body, RequestID: text(e.Body.Context.Request.ID)}
	switch {
	case e.Body.UserProfileUpdate != nil:
		call.Shape = ProgressiveProfile
	case e.Body.Action.Kind() == jsontext.KindNull:
		call.Shape = ClassicSignUp
	}
	return call, nil
}

// event is the body of a call. Its members have the order of Okta's samples.
type event struct {
	EventID           string `json:"eventId"`
	EventTime         string `json:"eventTime"`
	EventType         string `json:"eventType"`
	EventTypeVersion  string `json:"eventTypeVersion"`
	ContentType       string `json:"contentType"`
	CloudEventVersion string `json:"cloudEventVersion"`
	Source            string `json:"source"`
	RequestType       string `json:"requestType,omitzero"`
	Body              struct {
		Context struct {
			Request request `json:"request"`
			User    *user   `json:"user,omitzero"`
		} `json:"context"`
		UserProfile       map[string]any `json:"userProfile,omitzero"`
		Action            *string        `json:"action"`
		UserProfileUpdate map[string]any `json:"userProfileUpdate,omitzero"`
	} `json:"data"`
}

type request struct {
	Method    string `json:"method"`
	IPAddress string `json:"ipAddress"`
	ID        string `json:"id"`
	URL       struct {
		Value string `json:"value"`
	} `json:"url"`
}

type user struct {
	PasswordChanged string `json:"passwordChanged"`
	Links           struct {
		Groups  link `json:"groups"`
		Factors link `json:"factors"`
	} `json:"_links"`
	Profile map[string]any `json:"profile"`
	ID      string         `json:"id"`
}

type link struct {
	Href string `json:"href"`
}
