package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// naughty strings are of the kinds that break programs: control characters,
// text that turns writing round, markup, templates, SQL, paths, formats.
func naughty() []string {
	return append(hostile(),
		"", " ", "\t\r\n", "a\u0000b", "\u0001\u001f\u007f", "\u0085\u2028\u2029", "\ufeff", "\ufffe\uffff", "\u200b\u200d\u2060", "\u2066\u2067\u2068\u2069\u202a\u202e",
		"e\u0301"+strings.Repeat("\u0301", 300), "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0010FFFF", "ﷺ", "ß", "İ", "Ω≈ç√∫", "שלום", "مرحبا", "田中さん",
		"' OR 1=1 --", `"; SELECT pg_sleep(0); --`, "%00", "%", "_", `\`, `\u0000`, "$1", "${jndi:ldap://x}", "{{7*7}}", "<%= 1 %>", "../../etc/passwd", "file:///etc/passwd",
		"http://[::1", "http://%zz", "//evil.example", "javascript:alert(1)", "a@b", "a@b@c", "@", "a@[127.0.0.1]", `"a b"@example.com`, "a@xn--", "a@"+strings.Repeat("a.", 130)+"b",
		"+", "+1", "+999999999999999999999", "tel:+14155550123", "nil", "null", "undefined", "NaN", "Infinity", "-0", "0x10", "1e309", "true",
		"2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00+99:99", "-infinity", "epoch",
		"a\r\nBcc: eve@evil.example", "a\r\nSet-Cookie: x=1", "inv_", "inv_00000000000000000000000000", "inv_vvvvvvvvvvvvvvvvvvvvvvvvvv", strings.Repeat("x", 100_000), strings.Repeat("\U0001F600", 5_000),
	)
}

// texts are the hostile texts for one member: some in the short form, all in the long one.
func (f *fuzzer) texts() []string {
	all := naughty()
	if f.isLong {
		return all
	}
	f.rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all[:8]
}

// fragments are JSON values for a schema: its limits and one past them, each
// enum, null, every other type, and the hostile texts given.
func fragments(s *openapi3.Schema, texts []string) (list []string) {
	for _, v := range s.Enum {
		list = append(list, quoted(v))
	}
	length := []uint64{s.MinLength}
	if s.MaxLength != nil {
		length = append(length, *s.MaxLength)
	}
	for _, n := range length {
		for _, at := range []uint64{n - min(n, 1), n, n + 1} {
			list = append(list, quoted(strings.Repeat("x", int(at))), quoted(strings.Repeat("\U0001F600", int(at)))) //nolint:gosec // of our document
		}
	}
	for _, limit := range []*float64{s.Min, s.Max} {
		if limit != nil {
			for _, at := range []float64{*limit - 1, *limit, *limit + 1, *limit + 0.5} {
				list = append(list, strconv.FormatFloat(at, 'f', -1, 64))
			}
		}
	}
	list = append(list, "null", "true", "0", "-1", "1.5", "-0", "1e400", "1e-400", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
		strings.Repeat("9", 5000), `""`, "[]", "[null]", "{}", `{"a":{}}`, `{"":""}`, `"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, "\"\xff\xfe\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"")
	for _, text := range texts {
		list = append(list, quoted(text))
	}
	return list
}

func quoted(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// place is a member of a body, by the names that lead to it.
type place struct {
	path   []string
	schema *openapi3.Schema
}

// places lists every member that a schema has, those of alternatives too.
func places(s *openapi3.Schema, at []string) (list []place) {
	if len(at) > 4 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		path := append(slices.Clone(at), name)
		list = append(list, place{path, s.Properties[name].Value})
		list = append(list, places(s.Properties[name].Value, path)...)
	}
	for _, alternatives := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf, s.AllOf} {
		for _, ref := range alternatives {
			list = append(list, places(ref.Value, at)...)
		}
	}
	if s.AdditionalProperties.Schema != nil {
		list = append(list, place{append(slices.Clone(at), "extra"), s.AdditionalProperties.Schema.Value})
	}
	return list
}

// put returns a copy of a body with a value at a path; objects on the way are made.
func put(body map[string]any, path []string, value string) map[string]any {
	body = maps.Clone(body)
	if body == nil {
		body = map[string]any{}
	}
	if len(path) == 1 {
		body[path[0]] = json.RawMessage(value)
		return body
	}
	inner, _ := body[path[0]].(map[string]any)
	body[path[0]] = put(inner, path[1:], value)
	return body
}

// malformed are bodies that are not one JSON object in UTF-8, or barely.
func malformed(valid string) []string {
	list := []string{
		"", " ", "null", "true", "0", `""`, "[]", "[" + valid + "]", "{", "}", "{}", `{"a":}`, `{"a"}`, `{a:1}`, `{'a':1}`, valid + valid, valid + " x", valid + "\x00", "\ufeff" + valid,
		strings.TrimSuffix(valid, "}") + ",}", strings.TrimSuffix(valid, "}") + `,"extra":1}`, "/* c */" + valid, valid + "// c", "{\"\xff\":1}", `{"\ud800":1}`, `{"\u0000":1}`, `{"__proto__":{}}`,
		`{"a":NaN}`, `{"a":Infinity}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1e}`, "{\"a\":\"\n\"}", `{"a":"\x"}`, `{"a":"\u12"}`,
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 50_000), `{"metadata":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) + "}",
		`{"recipient":` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + "}", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, `{"a":` + strings.Repeat("9", 60_000) + "}",
		"{" + strings.TrimSuffix(strings.Repeat(`"k":1,`, 5_000), ",") + "}", "\x1f\x8b\x08\x00\x00", "a=1&b=2", "<a/>",
	}
	var many strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&many, `,"k%d":%d`, i, i)
	}
	list = append(list, strings.TrimSuffix(valid, "}")+many.String()+"}")
	var wide []byte
	for _, r := range valid {
		wide = append(wide, byte(r), 0) //nolint:gosec // ASCII
	}
	list = append(list, string(wide))
	for _, part := range []int{1, 3, 7} {
		list = append(list, valid[:len(valid)*part/8])
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(valid), &members) == nil {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			list = append(list, strings.TrimSuffix(valid, "}")+","+quoted(name)+":"+string(members[name])+"}",
				strings.TrimSuffix(valid, "}")+","+quoted(strings.ToUpper(name))+":1}")
		}
	}
	return list
}

// listed are the requests that each operation gets every time.
func (f *fuzzer) listed(o operation, ids map[string]string) (list []fuzzRequest) {
	valid := encode(o.valid)
	if o.body != nil {
		for _, at := range places(o.body, nil) {
			for _, value := range fragments(at.schema, f.texts()) {
				list = append(list, f.request(o, ids, nil, encode(put(o.valid, at.path, value)), strings.Join(at.path, ".")))
			}
		}
		for _, body := range malformed(string(valid)) {
			list = append(list, f.request(o, ids, nil, []byte(body), "malformed JSON"))
		}
		for _, name := range slices.Sorted(maps.Keys(o.valid)) {
			without := maps.Clone(o.valid)
			delete(without, name)
			list = append(list, f.request(o, ids, nil, encode(without), "without "+name))
		}
	}
	for _, ref := range o.params {
		p := ref.Value
		for _, text := range f.texts() {
			if p.In == "path" {
				text = url.PathEscape(text[:min(len(text), 6_000)])
				if text == "" || text == "." || text == ".." {
					continue
				}
			}
			list = append(list, f.request(o, ids, map[string]string{p.Name: text[:min(len(text), 6_000)]}, valid, p.In+" "+p.Name))
		}
		for _, value := range fragments(p.Schema.Value, nil) {
			var text string
			if json.Unmarshal([]byte(value), &text) != nil {
				text = value
			}
			if text = text[:min(len(text), 6_000)]; p.In == "path" {
				text = url.PathEscape(text)
			}
			if text != "" {
				list = append(list, f.request(o, ids, map[string]string{p.Name: text}, valid, p.In+" "+p.Name))
			}
		}
	}
	return append(list, f.wrappings(o, ids, valid)...)
}

// wrappings keep the request's content and change its frame: method, content
// type, credentials, path.
func (f *fuzzer) wrappings(o operation, ids map[string]string, valid []byte) (list []fuzzRequest) {
	add := func(what string, change func(*fuzzRequest)) {
		q := f.request(o, ids, nil, valid, what)
		change(&q)
		list = append(list, q)
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X"} {
		add("method "+method, func(q *fuzzRequest) { q.method = method })
		add("method "+method+" with a body", func(q *fuzzRequest) { q.method, q.body = method, []byte(`{"a":1}`) })
	}
	for _, kind := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/json; charset=utf-16", "application/JSON",
		"application/json;;", "application/json; charset", "*/*", "application/json, text/plain", "application/problem+json", "text/json", "/", ";", strings.Repeat("x", 5_000),
	} {
		add("content type", func(q *fuzzRequest) { q.header.Set("Content-Type", kind) })
	}
	for _, encoding := range []string{"gzip", "br", "identity", "x", "gzip, gzip"} {
		add("content encoding", func(q *fuzzRequest) { q.header.Set("Content-Encoding", encoding) })
	}
	for _, key := range []string{"", "Bearer", "Bearer ", "bearer " + f.key, "Basic eDp5", "Bearer cl_test_x", "Bearer clc_x", "Bearer " + strings.Repeat("x", 6_000), "Bearer " + f.key + "\xff", "Bearer a b", f.key} {
		add("authorization", func(q *fuzzRequest) { q.header.Set("Authorization", key) })
	}
	headers := map[string][]string{
		"Idempotency-Key": {"a", strings.Repeat("k", 255), strings.Repeat("k", 256), strings.Repeat("k", 600), `"a"`, `"a`, "\xff", "ключ", " "}, "Accept": {"text/html", "image/png", "*/*;q=x", ""},
		"Accept-Language": {"xx-invalid", strings.Repeat("de,", 2_000), ";q=9", "\xff"}, "If-None-Match": {"*", `W/"a1"`, `"`, "\xff"}, "Prefer": {"wait", "wait=-1", "wait=x", "wait=1e9999", "wait=0, wait=0", strings.Repeat("a,", 2_000)},
		"Cookie": {"=;=;\xff", strings.Repeat("a=b;", 1_000)}, "Origin": {"null", "http://%zz", "\xff"}, "X-Forwarded-For": {"\xff", "1.2.3.4, x", strings.Repeat("1.1.1.1,", 500)}, "Range": {"bytes=5-1"},
		"Content-Language": {"\xff"}, "Traceparent": {"00-x-y-z", "\xff"}, "Expect": {"nonsense"}, "X-Http-Method-Override": {"DELETE"}, "Request-Id": {"\xff", strings.Repeat("x", 5_000)},
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			add("header "+name, func(q *fuzzRequest) { q.header.Set(name, value) })
		}
	}
	for _, target := range []string{"/%00", "/%ff", "/%c0%af", "/..", "/%2e%2e", "/.", "//", ";x=1", "/", "%20", "%0a", "?", "?%zz", "?a=%ff", "?limit=1&limit=2", "?cursor[]=1", "?=&&&=", "?" + strings.Repeat("a=1&", 2_000), "?limit=1;x=2", "#x", "/" + strings.Repeat("x/", 2_000)} {
		add("path", func(q *fuzzRequest) { q.target += target })
	}
	add("path in upper case", func(q *fuzzRequest) { q.target = strings.ToUpper(q.target) })
	return list
}

// random puts several values at once.
func (f *fuzzer) random(o operation, ids map[string]string) fuzzRequest {
	pick := func(list []string) string { return list[f.rand.IntN(len(list))] }
	body, with := o.valid, map[string]string{}
	var what []string
	if o.body != nil {
		at := places(o.body, nil)
		for range 1 + f.rand.IntN(4) {
			p := at[f.rand.IntN(len(at))]
			body = put(body, p.path, pick(fragments(p.schema, f.texts())))
			what = append(what, strings.Join(p.path, "."))
		}
	}
	for _, ref := range o.params {
		if ref.Value.In != "path" && f.rand.IntN(3) == 0 {
			with[ref.Value.Name] = mutated(f.rand, pick(naughty()))
			what = append(what, ref.Value.Name)
		}
	}
	raw := encode(body)
	if f.rand.IntN(4) == 0 && len(raw) > 0 {
		raw = []byte(mutated(f.rand, string(raw)))
	}
	return f.request(o, ids, with, raw, "random: "+strings.Join(what, ", "))
}

// mutated changes, doubles or removes some bytes.
func mutated(r *rand.Rand, s string) string {
	b := []byte(s[:min(len(s), 6_000)])
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return "x"
		}
		switch i := r.IntN(len(b)); r.IntN(3) {
		case 0:
			b[i] = byte(r.IntN(256)) //nolint:gosec // below 256
		case 1:
			b = slices.Insert(b, i, b[i])
		default:
			b = slices.Delete(b, i, i+1)
		}
	}
	return string(b)
}
