package app

import (
	"regexp"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/templates"
)

// Routes are all that the process serves.
func (a *App) Routes() []*echo.Route { return a.handler.Routes() }

// builtIn are the built-in texts, read once for all tests.
//
//nolint:gochecknoglobals // the file does not change
var builtIn = sync.OnceValues(func() (texts, error) { return readTexts(templates.FS) })

// WithSharedTexts are options by which a process reads the built-in texts with the
// others of this test run, which takes most of the time of a start.
func WithSharedTexts(o Options) Options {
	o.builtIn = builtIn
	return o
}

// MetricLabels are the labels of each metric that the process registers, by name,
// also of those that have no series yet. Those of histograms have le.
func (a *App) MetricLabels() map[string][]string {
	parse := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	histograms := map[string]bool{}
	families, _ := a.registry.Gather()
	for _, f := range families {
		histograms[f.GetName()] = f.GetType().String() == "HISTOGRAM"
	}
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); a.registry.Describe(descs) }()
	out := map[string][]string{}
	for d := range descs {
		m := parse.FindStringSubmatch(d.String())
		labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
		// A vector without series is not gathered; its unit tells.
		if seen, ok := histograms[m[1]]; seen || !ok && strings.HasSuffix(m[1], "_seconds") {
			labels = append(labels, "le")
		}
		out[m[1]] = labels
	}
	return out
}
