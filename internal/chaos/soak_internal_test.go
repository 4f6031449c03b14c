package chaos

import (
	"strings"
	"testing"
)

// steady are the samples of a program that keeps nothing, at 100 invites a second.
func steady() []Sample {
	samples := make([]Sample, soakParts)
	for i := range samples {
		n := int64(i+1) * 3000
		samples[i] = Sample{
			Invites: n, MemoryMiB: 60 + float64(i%3), Goroutines: 900 + float64(i%7), Descriptors: 70, DeadShare: 0.1,
			TableBytes: 9000 * n, WALBytes: 15_000 * n, LogBytes: 1200 * n, Waiting: int64(i % 5),
		}
	}
	return samples
}

func TestSoakFindsWhatIsNotFlat(t *testing.T) {
	for want, spoil := range map[string]func(i int, s *Sample){
		"":                             func(int, *Sample) {},
		"memory grew":                  func(i int, s *Sample) { s.MemoryMiB += float64(i) },       // 1 MiB in half a minute
		"goroutines grew":              func(i int, s *Sample) { s.Goroutines += 30 * float64(i) }, // one of 100 requests
		"descriptors grew":             func(i int, s *Sample) { s.Descriptors += 3 * float64(i) },
		"bytes of an invite in tables": func(i int, s *Sample) { s.TableBytes += int64(i*i) * 1e6 },
		"of the rows were dead":        func(i int, s *Sample) { s.DeadShare += float64(i) / 400 },
	} {
		r := SoakReport{Minutes: 30, Rate: 100, Accepted: 180_000, Opened: 180_000, RetiredPerS: 2000, Samples: steady()}
		for i := range r.Samples {
			spoil(i, &r.Samples[i])
		}
		r.compare()
		if err := r.Check(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	r := SoakReport{Minutes: 30, Rate: 100, Accepted: 180_000, Opened: 180_000, RetiredPerS: 2000, Samples: steady()}
	r.compare()
	if r.WALBytesEach != 15_000 || r.LogBytesEach != 1200 || r.TableBytesEach != 9000 || r.WorstWaiting != 4 {
		t.Errorf("each invite: %v bytes of WAL, %v of the log, %v of tables; %d waited", r.WALBytesEach, r.LogBytesEach, r.TableBytesEach, r.WorstWaiting)
	}
	for want, r := range map[string]SoakReport{
		"proves nothing": {Minutes: 1, Rate: 100}, "were to be asked for": {Minutes: 1, Rate: 100, Accepted: 3000, Opened: 3000},
		"retention deletes": {Rate: 100, RetiredPerS: 150},
		"not delivered":     {Lost: 1}, "sent twice": {Extra: 1}, "were refused": {Refused: 1}, "other answers": {Strange: map[string]int{"500": 1}},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
