package contact

import "slices"

// Stretch is a part of a text that was typed, with or without a slip in it.
// A slip without letters is where one is missing.
type Stretch struct {
	Text string
	Slip bool
}

// Slips aligns the typed text with the intended one and marks the differences.
// It returns letters of typed only, never of meant.
func Slips(typed, meant string) []Stretch {
	a, b := []rune(typed), []rune(meant)
	cost := make([][]int, len(a)+1)
	for i := range cost {
		cost[i] = make([]int, len(b)+1)
		for j := range cost[i] {
			switch {
			case i == 0:
				cost[i][j] = j
			case j == 0:
				cost[i][j] = i
			case a[i-1] == b[j-1]:
				cost[i][j] = cost[i-1][j-1]
			default:
				cost[i][j] = 1 + min(cost[i-1][j], cost[i][j-1], cost[i-1][j-1])
				if isSwap(a, b, i, j) {
					cost[i][j] = min(cost[i][j], 1+cost[i-2][j-2])
				}
			}
		}
	}
	var out []Stretch // from the end to the beginning
	add := func(text string, slip bool) {
		if n := len(out); n > 0 && out[n-1].Slip == slip {
			out[n-1].Text = text + out[n-1].Text
			return
		}
		out = append(out, Stretch{text, slip})
	}
	for i, j := len(a), len(b); i > 0 || j > 0; {
		switch {
		case i > 0 && j > 0 && a[i-1] == b[j-1]:
			add(string(a[i-1]), false)
			i, j = i-1, j-1
		case isSwap(a, b, i, j) && cost[i][j] == 1+cost[i-2][j-2]:
			add(string(a[i-2:i]), true)
			i, j = i-2, j-2
		case i > 0 && j > 0 && cost[i][j] == 1+cost[i-1][j-1]:
			add(string(a[i-1]), true)
			i, j = i-1, j-1
		case i > 0 && cost[i][j] == 1+cost[i-1][j]:
			add(string(a[i-1]), true)
			i--
		default:
			add("", true)
			j--
		}
	}
	slices.Reverse(out)
	return out
}

// isSwap reports whether the two letters before i and j are each other's swap.
func isSwap(a, b []rune, i, j int) bool {
	return i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1]
}
