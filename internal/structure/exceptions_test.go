package structure_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// exception is one place that a rule does not mean, and why.
type exception struct {
	path  string
	names []string
	why   string
}

func excepted(list []exception, path, name string) bool {
	return slices.ContainsFunc(list, func(e exception) bool { return e.path == path && slices.Contains(e.names, name) })
}

// otherMeaning reports whether a word that is also one of our statuses means
// something else in a file.
func otherMeaning(path, word string) bool { return excepted(otherMeanings(), path, word) }

func otherMeanings() []exception {
	return []exception{
		{"cmd/connectlink/keys.go", []string{"revoked", "expired"}, "the state of an API key"},
		{"internal/contact/phone.go", []string{"unknown"}, "a type of phone number"},
		{"internal/httpapi/advance.go", []string{"expired"}, "a place named in a request, of which there will be more than statuses"},
		{"internal/store/queue/job.go", []string{"accepted", "unknown"}, "how one attempt ended, not how the delivery stands"},
	}
}

// settled reports whether a variable is one that nothing changes although its type
// would let it.
func settled(path, name string) bool { return excepted(settledVariables(), path, name) }

func settledVariables() []exception {
	return []exception{
		{"internal/app/vendors.go", []string{"environments"}, "a list that is only ranged over"},
		{"internal/postgres/errors.go", []string{"errPoolFull", "errNoAnswer"}, "errors, compared by identity"},
		{"internal/wire/public.go", []string{"guardian"}, "address ranges, parsed once because every call looks at them"},
		{"internal/sandbox/credentials.go", []string{"deploymentID"}, "an array, copied where it is used"},
		{"internal/sandbox/fate.go", []string{"accepted250"}, "a map that is only read"},
		{"internal/wire/agent.go", []string{"userAgent"}, "a function whose one result is computed once, because every call sends it"},
	}
}

// An exception that excepts nothing would hide the next real fault.
func TestEveryExceptionIsNeeded(t *testing.T) {
	t.Parallel()
	check := func(list []exception, pattern func(name string) string) {
		for _, e := range list {
			text, err := os.ReadFile(filepath.Join(root, e.path))
			if err != nil {
				t.Error(err)
				continue
			}
			for _, name := range e.names {
				if !regexp.MustCompile(pattern(regexp.QuoteMeta(name))).Match(text) {
					t.Errorf("%s no longer has %q (%s): remove the exception", e.path, name, e.why)
				}
			}
		}
	}
	check(otherMeanings(), func(word string) string { return `"` + word + `"` })
	check(settledVariables(), func(name string) string { return `(?m)^(var )?\t?` + name + ` +(=|[a-z\[*])` })
}
