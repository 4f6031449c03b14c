// Package longtest tells tests that have a short and a long form which one is
// wanted. The long form tries more of the same kind, once a day.
package longtest

import "os"

// Variable is the environment variable that asks for the long form.
const Variable = "CONNECTLINK_TEST_LONG"

// Wanted reports whether the long form is asked for.
func Wanted() bool { return os.Getenv(Variable) != "" }
