package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// option is one setting of a T, a Config or a Project: its names, where it is
// kept, and how it is read and shown. The tables of options are the one list
// that loading, unknown keys, documentation and the summary follow.
type option[T any] struct {
	key      string   // in YAML, with dots
	env      string   // empty where only YAML can say it
	aliases  []string // other variables, asked after env
	def      string   // as one would write it
	help     string
	required bool
	secret   bool
	list     bool
	typed    bool                              // YAML may write it as a number or a boolean
	set      func(t *T, values []string) error // one value unless list
	show     func(t *T) string                 // "" when unset; never a secret
}

// need marks an option as required.
func (o option[T]) need() option[T] { o.required = true; return o }

// also adds variables that are asked when the option's own is unset.
func (o option[T]) also(aliases ...string) option[T] { o.aliases = aliases; return o }

// textSetting is a setting kept in a string. check may rewrite it.
func textSetting[T any](key, env, def, help string, at func(*T) *string, check func(string) (string, error)) option[T] {
	return option[T]{key: key, env: env, def: def, help: help,
		set: func(t *T, values []string) error {
			v := values[0]
			if check != nil {
				var err error
				if v, err = check(v); err != nil {
					return err
				}
			}
			*at(t) = v
			return nil
		},
		show: func(t *T) string { return *at(t) },
	}
}

// secretSetting is a setting kept in a secret.Text.
func secretSetting[T any](key, env, help string, at func(*T) *secret.Text, check func(string) error) option[T] {
	return option[T]{key: key, env: env, help: help, secret: true,
		set: func(t *T, values []string) error {
			if check != nil {
				if err := check(values[0]); err != nil {
					return err
				}
			}
			*at(t) = secret.New(values[0])
			return nil
		},
		show: func(t *T) string {
			if at(t).IsZero() {
				return ""
			}
			return secret.Redacted
		},
	}
}

// listSetting is a setting kept in a list: a YAML list, or values with commas.
func listSetting[T any](key, env, def, help string, at func(*T) *[]string, check func(string) (string, error)) option[T] {
	return option[T]{key: key, env: env, def: def, help: help, list: true,
		set: func(t *T, values []string) error {
			out := make([]string, 0, len(values))
			for i, v := range values {
				checked, err := check(v)
				if err != nil {
					if len(values) > 1 {
						return fmt.Errorf("entry %d: %w", i+1, err)
					}
					return err
				}
				out = append(out, checked)
			}
			*at(t) = out
			return nil
		},
		show: func(t *T) string { return strings.Join(*at(t), ", ") },
	}
}

// once refuses a value that is written twice.
func (o option[T]) once() option[T] {
	set := o.set
	o.set = func(t *T, values []string) error {
		for i, v := range values {
			if slices.Contains(values[:i], v) {
				return fmt.Errorf("entry %d: stands there twice", i+1)
			}
		}
		return set(t, values)
	}
	return o
}

// boolSetting is a setting that is on or off.
func boolSetting[T any](key, env, def, help string, at func(*T) *bool) option[T] {
	return option[T]{key: key, env: env, def: def, help: help, typed: true,
		set: func(t *T, values []string) error {
			switch strings.ToLower(values[0]) {
			case "true", "yes", "on", "1":
				*at(t) = true
			case "false", "no", "off", "0":
				*at(t) = false
			default:
				return fmt.Errorf("want true or false")
			}
			return nil
		},
		show: func(t *T) string { return strconv.FormatBool(*at(t)) },
	}
}

// invertedSetting is a flag whose field says the opposite, so that its zero is the usual.
func invertedSetting[T any](key, env, def, help string, at func(*T) *bool) option[T] {
	o := boolSetting(key, env, def, help, at)
	set := o.set
	o.set = func(t *T, values []string) error {
		if err := set(t, values); err != nil {
			return err
		}
		*at(t) = !*at(t)
		return nil
	}
	o.show = func(t *T) string { return strconv.FormatBool(!*at(t)) }
	return o
}

// durationSetting is a setting that is a length of time between least and most; 0 is
// allowed where least is 0.
func durationSetting[T any](key, env, def, help string, least, most time.Duration, at func(*T) *time.Duration) option[T] {
	return option[T]{key: key, env: env, def: def, help: help, typed: true,
		set: func(t *T, values []string) error {
			d, err := parseSpan(values[0])
			if err != nil {
				return err
			}
			if d < least || d > most {
				return fmt.Errorf("want between %s and %s", showSpan(least), showSpan(most))
			}
			*at(t) = d
			return nil
		},
		show: func(t *T) string { return showSpan(*at(t)) },
	}
}

// maxRate is more than any provider takes from one account.
const maxRate = 10_000

// rateSetting is a setting that is a number of things a second; 0 is no limit.
func rateSetting[T any](key, env, def, help string, at func(*T) *float64) option[T] {
	return option[T]{key: key, env: env, def: def, help: help, typed: true,
		set: func(t *T, values []string) error {
			n, err := strconv.ParseFloat(values[0], 64)
			if err != nil || !(n >= 0 && n <= maxRate) { // not NaN either
				return fmt.Errorf("want a number from 0 to %d, as 10 or 0.5", maxRate)
			}
			*at(t) = n
			return nil
		},
		show: func(t *T) string { return strconv.FormatFloat(*at(t), 'f', -1, 64) },
	}
}

// countSetting is a setting that is a whole number from 0 to most.
func countSetting[T any](key, env, def, help string, most int, at func(*T) *int) option[T] {
	return option[T]{key: key, env: env, def: def, help: help, typed: true,
		set: func(t *T, values []string) error {
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 0 || n > most {
				return fmt.Errorf("want a whole number from 0 to %d", most)
			}
			*at(t) = n
			return nil
		},
		show: func(t *T) string { return strconv.Itoa(*at(t)) },
	}
}

// parseSpan reads Go's durations and whole days ("30d").
func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("want a length of time such as 90s, 4h or 30d")
	}
	return d, nil
}

func showSpan(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
