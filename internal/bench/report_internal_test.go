package bench

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestPartsAlternate(t *testing.T) {
	t.Parallel()
	var order []int
	part := func(n int) func() error {
		return func() error {
			order = append(order, n)
			return nil
		}
	}
	for round := range 2 {
		if err := inTurn(round, part(1), part(2), part(3)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(order, []int{1, 2, 3, 3, 2, 1}) {
		t.Errorf("parts ran in the order %v", order)
	}
	failed := errors.New("failed")
	if err := inTurn(0, func() error { return failed }, func() error { t.Error("ran after a failed part"); return nil }); !errors.Is(err, failed) {
		t.Errorf("the error of a part became %v", err)
	}
}

func TestFiguresAreMinimumMedianAndMaximumOfTheRounds(t *testing.T) {
	t.Parallel()
	b := Benchmark{}
	for _, v := range []float64{5, 1, 4, 2, 3} {
		b.add("a", "ms", v)
		b.use("a program", usage{Busy: v / 10, Process: v}, false)
	}
	b.settle()
	if f := b.Figures[0]; f.Min != 1 || f.Median != 3 || f.Max != 5 || !slices.Equal(f.Values, []float64{5, 1, 4, 2, 3}) {
		t.Errorf("figure %+v", f)
	}
	if m := median([]float64{4, 1, 2, 3}); m != 2.5 {
		t.Errorf("the median of an even number of rounds is %v", m)
	}
	if u := b.Usages[0]; u.Busy != 0.3 || u.Process != 3 {
		t.Errorf("usage %+v", u)
	}
}

func TestLimitNamesTheResource(t *testing.T) {
	t.Parallel()
	for want, u := range map[string]Usage{
		"processors": {Busy: 0.97, Others: 0.1, Flushing: 0.9},
		"processors, which other programs use too": {Busy: 0.97, Others: 0.5},
		"disk flushes": {Busy: 0.4, Flushing: 0.9},
		"disk flushes and the steps between them": {Busy: 0.4, Flushing: 0.6},
		"waiting between steps":                   {Busy: 0.4, Flushing: 0.2},
		"none: the load is paced":                 {Busy: 0.4, Flushing: 0.9, paced: true},
	} {
		if got := u.limit(); got != want {
			t.Errorf("%+v is limited by %q, not %q", u, got, want)
		}
	}
}

// The processor time of a process that works rises.
func TestCPUTimeRises(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	if statOf(strconv.Itoa(self)).parent == 0 {
		t.Skip("this system has no /proc")
	}
	before := CPUTime(self, false)
	for sum, deadline := 0, time.Now().Add(time.Minute); CPUTime(self, false) <= before; sum++ {
		if time.Now().After(deadline) {
			t.Fatalf("the time stayed %s during %d reads", before, sum)
		}
	}
	if CPUTime(self, true) < before {
		t.Error("with children it is less than without")
	}
}
