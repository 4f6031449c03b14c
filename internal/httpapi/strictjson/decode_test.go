package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/connectlink/connectlink/internal/httpapi/strictjson"
	"github.com/connectlink/connectlink/internal/invite"
)

type order struct {
	ExternalUserID string            `json:"external_user_id"`
	Channel        channel           `json:"channel,omitempty"`
	Recipient      *person           `json:"recipient,omitempty"`
	ExpiresIn      *int              `json:"expires_in,omitempty"`
	Small          int32             `json:"small"`
	Urgent         *bool             `json:"urgent"`
	SendAt         *time.Time        `json:"send_at"`
	ID             invite.ID         `json:"id"`
	Metadata       map[string]string `json:"metadata"`
	Tags           []string          `json:"tags"`
	People         []person          `json:"people"`
	Untagged       string
	Hidden         string `json:"-"`
}

type channel string

type person struct {
	Email string `json:"email"`
	Name  string `json:"name"`
}

func ptr[T any](v T) *T { return &v }

func TestDecodeReadsEveryKindOfField(t *testing.T) {
	t.Parallel()
	id := invite.New[invite.ID]()
	raw := fmt.Sprintf(`{"external_user_id":"u \u00e9\ud83d\ude00\/\"\\\b\f\n\r\t","channel":"email","recipient":{"email":"a@b.example"},
		"expires_in":60,"small":-3,"urgent":false,"send_at":"2026-11-23T15:04:05.5+01:00","id":%q,
		"metadata":{"a":"1","":"2"},"tags":["x","y"],"people":[{"name":"P"},{}]}`, id)
	var got order
	faults, err := strictjson.Decode([]byte(raw), &got)
	if err != nil || faults != nil {
		t.Fatalf("Decode: %v, %v", faults, err)
	}
	want := order{
		ExternalUserID: "u é😀/\"\\\b\f\n\r\t", Channel: "email", Recipient: &person{Email: "a@b.example"}, ExpiresIn: ptr(60), Small: -3,
		Urgent: ptr(false), SendAt: ptr(time.Date(2026, 11, 23, 14, 4, 5, 5e8, time.UTC)), ID: id,
		Metadata: map[string]string{"a": "1", "": "2"}, Tags: []string{"x", "y"}, People: []person{{Name: "P"}, {}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(0), cmp.Comparer(func(a, b invite.ID) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDecodeAgreesWithTheStandardLibrary on what both take.
func TestDecodeAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{}`, ` { } `, `{"external_user_id":"\u0041\u00DF\u6771","expires_in":0}`, `{"small":2147483647}`, `{"expires_in":-0}`,
		`{"recipient":null,"expires_in":null,"external_user_id":null,"metadata":null,"tags":null}`,
		`{"metadata":{}}`, `{"tags":[]}`, `{"people":[{"email":"é"}]}`, "{\"external_user_id\":\"\u2028\ufffd\"}",
	} {
		var ours, theirs order
		faults, err := strictjson.Decode([]byte(raw), &ours)
		if err != nil || faults != nil {
			t.Errorf("%s: %v, %v", raw, faults, err)
			continue
		}
		if err := json.Unmarshal([]byte(raw), &theirs); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(theirs, ours, cmp.Comparer(func(a, b invite.ID) bool { return a == b })); diff != "" {
			t.Errorf("%s (-encoding/json +ours):\n%s", raw, diff)
		}
	}
}

func TestDecodeTellsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	const raw = `{"externalUserId":"u","chanel":"email","email":"a@b.example","Channel":"sms","zzz":1,
		"recipient":{"email":7,"e-mail":"x","name":"P","name":"Q"},"recipient":{},
		"expires_in":"60","small":2147483648,"urgent":"yes","send_at":"tomorrow","id":"dlv_1",
		"metadata":{"a/b~c":1,"k":"1","k":"2","n":null},"tags":["x",null,3],"people":{},"Untagged":"x","-":"x"}`
	var got order
	faults, err := strictjson.Decode([]byte(raw), &got)
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		Pointer    string
		Code       invite.Code
		Suggestion string
	}
	var all []told
	for _, f := range faults {
		all = append(all, told{f.Pointer, f.Code, f.Suggestion})
	}
	want := []told{
		{"/externalUserId", invite.FaultUnknownField, "external_user_id"},
		{"/chanel", invite.FaultUnknownField, "channel"},
		{"/email", invite.FaultUnknownField, "recipient.email"},
		{"/Channel", invite.FaultUnknownField, "channel"},
		{"/zzz", invite.FaultUnknownField, ""},
		{"/recipient/email", invite.FaultWrongType, ""},
		{"/recipient/e-mail", invite.FaultUnknownField, "email"},
		{"/recipient/name", invite.FaultDuplicate, ""},
		{"/recipient", invite.FaultDuplicate, ""},
		{"/expires_in", invite.FaultWrongType, ""},
		{"/small", invite.FaultOutOfRange, ""},
		{"/urgent", invite.FaultWrongType, ""},
		{"/send_at", invite.FaultInvalid, ""},
		{"/id", invite.FaultInvalid, ""},
		{"/metadata/a~1b~0c", invite.FaultWrongType, ""},
		{"/metadata/k", invite.FaultDuplicate, ""},
		{"/metadata/n", invite.FaultWrongType, ""},
		{"/tags/1", invite.FaultWrongType, ""},
		{"/tags/2", invite.FaultWrongType, ""},
		{"/people", invite.FaultWrongType, ""},
		{"/Untagged", invite.FaultUnknownField, ""},
		{"/-", invite.FaultUnknownField, "id"},
	}
	want[len(want)-1].Suggestion = ""
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if got.Recipient == nil || got.Recipient.Name != "P" {
		t.Errorf("what could be read was not: %+v", got.Recipient)
	}
}

func TestWholeNumbersMayBeWrittenInMoreThanOneWay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"60": 60, "60.0": 60, "6e1": 60, "600e-1": 60, "0.06e3": 60, "0e-400": 0, "0e-99999999999999999999": 0,
		"1e-400": invite.FaultWrongType, "60.00000000000000000001": invite.FaultWrongType, "6e-1": invite.FaultWrongType, "1e-99999999999999999999": invite.FaultWrongType,
		"1e99999999999999999999": invite.FaultOutOfRange, "-0": 0, "60.5": invite.FaultWrongType, "1e400": invite.FaultOutOfRange,
		"99999999999999999999": invite.FaultOutOfRange, `"60"`: invite.FaultWrongType, "true": invite.FaultWrongType,
		"9223372036854775807": 9223372036854775807,
	} {
		var got order
		faults, err := strictjson.Decode([]byte(`{"expires_in":`+text+`}`), &got)
		if err != nil {
			t.Fatal(err)
		}
		switch want := want.(type) {
		case int:
			if faults != nil || *got.ExpiresIn != want {
				t.Errorf("%s: %v, %v", text, faults, got.ExpiresIn)
			}
		case invite.Code:
			if len(faults) != 1 || faults[0].Code != want {
				t.Errorf("%s: %v, want %s", text, faults, want)
			}
		}
	}
}

func TestWhatIsNoJSONIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                      "The body is empty; a JSON object is expected.",
		" \n ":                                  "The body is empty; a JSON object is expected.",
		"\xef\xbb\xbf{}":                        "The body begins with a byte order mark; send plain UTF-8.",
		"{\"a\":\"\xff\"}":                      "The body is not valid UTF-8.",
		"{\"a\":\"\xed\xa0\x80\"}":              "The body is not valid UTF-8.",
		`{"a":"\u0000"}`:                        "The body is not valid JSON: it holds a NUL character (line 1, column 13).",
		"{\"a\":\"\x00\"}":                      "The body is not valid JSON: it holds a NUL character (line 1, column 7).",
		`{"\u0000":1}`:                          "The body is not valid JSON: it holds a NUL character (line 1, column 9).",
		`{"a":"\ud800"}`:                        "The body is not valid JSON: a surrogate stands without its other half (line 1, column 13).",
		"{\n \"é\": 1,\n}":                      "The body is not valid JSON: a member's name in double quotes is expected (line 3, column 1).",
		`{"a":1} {"b":2}`:                       "The body is not valid JSON: there is more text after the end of the JSON value (line 1, column 9).",
		`{"a":01}`:                              "The body is not valid JSON: a comma or } is expected (line 1, column 7).",
		`external_user_id=1&recipient=secret@x`: "The body is not valid JSON: a value is expected (line 1, column 1).",
		`{"a":"secret@customer.example`:         "The body is not valid JSON: a string is not closed (line 1, column 30).",
	} {
		_, err := strictjson.Decode([]byte(raw), &order{})
		var e *invite.Error
		if !errors.As(err, &e) || e.Code != invite.CodeMalformed || e.Message != want {
			t.Errorf("%q: %v\nwant %s", raw, err, want)
		}
	}
}

// TestF20AnEmptyArrayIsAnEmptyObject: PHP writes both as [].
func TestF20AnEmptyArrayIsAnEmptyObject(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`{"metadata":[]}`, `{"recipient":[]}`, `{"metadata": [ ],"recipient":[\n]}`} {
		raw := strings.ReplaceAll(raw, `\n`, "\n")
		if faults, err := strictjson.Decode([]byte(raw), &order{}); err != nil || len(faults) > 0 {
			t.Errorf("%s: %v, %v", raw, faults, err)
		}
	}
	for raw, pointer := range map[string]string{
		`{"metadata":["x"]}`: "/metadata", `{"recipient":[{}]}`: "/recipient", `{"metadata":""}`: "/metadata", `{"metadata":[[]]}`: "/metadata",
	} {
		faults, err := strictjson.Decode([]byte(raw), &order{})
		if err != nil || len(faults) != 1 || faults[0].Pointer != pointer || faults[0].Code != invite.FaultWrongType {
			t.Errorf("%s: %v, %v", raw, faults, err)
		}
	}
}

func TestTheBodyMustBeAnObject(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`[]`, `"x"`, `1`, `true`, `null`} {
		faults, err := strictjson.Decode([]byte(raw), &order{})
		if err != nil || len(faults) != 1 || faults[0].Pointer != "" || faults[0].Code != invite.FaultWrongType {
			t.Errorf("%s: %v, %v", raw, faults, err)
		}
	}
}

func TestFaultsNeverQuoteValues(t *testing.T) {
	t.Parallel()
	const canary = "CANARY5f3d9c"
	raw := strings.ReplaceAll(`{"external_user_id":{"x":"C"},"channel":["C"],"recipient":"C","expires_in":"C","urgent":"C","send_at":"C","id":"C",
		"metadata":"C","tags":"C","people":["C"],"unknown":"C"}`, `"C"`, `"`+canary+`"`)
	faults, err := strictjson.Decode([]byte(raw), &order{})
	if err != nil || len(faults) != 11 {
		t.Fatalf("%v, %v", faults, err)
	}
	if strings.Contains(fmt.Sprint(faults), canary) {
		t.Errorf("faults quote values: %v", faults)
	}
}

func TestFaultsAndNamesAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"` + strings.Repeat("ß", 5000) + `":1`)
	for i := range 20_000 {
		fmt.Fprintf(&b, `,"n%d":1`, i)
	}
	b.WriteString(`}`)
	faults, err := strictjson.Decode([]byte(b.String()), &order{})
	if err != nil || len(faults) != strictjson.MaxFaults {
		t.Fatalf("%d faults, %v", len(faults), err)
	}
	if n := len([]rune(faults[0].Pointer)); n > 110 {
		t.Errorf("a pointer of %d characters", n)
	}
}

func TestAStructThatCannotBeReadIsOurMistake(t *testing.T) {
	t.Parallel()
	var e *invite.Error
	if _, err := strictjson.Decode([]byte(`{"c":{}}`), &struct {
		C chan int `json:"c"`
	}{}); err == nil || errors.As(err, &e) {
		t.Errorf("chan: %v", err)
	}
	if _, err := strictjson.Decode([]byte(`{}`), order{}); err == nil || errors.As(err, &e) {
		t.Errorf("no pointer: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"external_user_id":"u","recipient":{"email":"a@b.example"},"metadata":{"k":"v"}}`))
	f.Add([]byte(`{"expires_in":1e3,"tags":["\ud83d\ude00"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got order
		faults, err := strictjson.Decode(raw, &got)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("taken, but encoding/json says it is no JSON: %q", raw)
		}
		if faults == nil {
			var theirs order
			if err := json.Unmarshal(raw, &theirs); err != nil && !strings.Contains(err.Error(), "number") {
				t.Fatalf("no faults, but encoding/json: %v", err)
			}
		}
	})
}
