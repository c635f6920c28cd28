package interv_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"pgregory.net/rapid"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// pyvene's tests were tried again until they passed or took nothing raised for a refusal, and a suite listed tests that do not exist.
func TestPyvene19ChecksThatCanFail(t *testing.T) {
	t.Run("19 every check fails where it should", func(t *testing.T) {
		nan := float32(math.NaN())
		refusal := &interv.Error{Where: "call", Axis: "rank", Got: "0", Wanted: "1 to 4"}
		for name, check := range map[string]func(t rapid.TB){
			"a number that is another":  func(t rapid.TB) { wantClose(t, "", []float32{1, 2}, []float32{1, 2.1}, 1e-3) },
			"a number that is none":     func(t rapid.TB) { wantClose(t, "", []float32{nan}, []float32{0}, 1e-3) },
			"no number wanted":          func(t rapid.TB) { wantClose(t, "", []float32{0}, []float32{nan}, 1e-3) },
			"numbers that are missing":  func(t rapid.TB) { wantClose(t, "", nil, []float32{0}, 1e-3) },
			"numbers beyond those":      func(t rapid.TB) { wantClose(t, "", []float32{0, 1}, []float32{0}, 1e-3) },
			"nothing that was refused":  func(t rapid.TB) { wanted.Refusal(t, nil) },
			"an error that names none":  func(t rapid.TB) { wanted.Refusal(t, errors.New("rank: got 0"), "rank") },
			"an error of another thing": func(t rapid.TB) { wanted.Refusal(t, refusal, "width") },
			"an error":                  func(t rapid.TB) { must(t, refusal) },
		} {
			if !fails(t, check) {
				t.Errorf("%s: passed", name)
			}
		}
		if fails(t, func(t rapid.TB) {
			wantClose(t, "", []float32{2}, []float32{2.001}, 1e-3)
			wanted.Refusal(t, refusal, "rank", "1 to 4")
		}) {
			t.Error("what should pass failed")
		}
	})

	// The list of defects and the tests have the same numbers.
	t.Run("19 every number has a test", func(t *testing.T) {
		listed := matches(t, `(?m)^\| (\d+b?) \|`, "../docs/pyvene.md")
		tested := matches(t, `(?m)^func TestPyvene(\d+b?)[A-Z]|t\.Run\("(\d+b?) `, "*pyvene_test.go", "*/pyvene_test.go", "../backend/pyvene_test.go")
		if !slices.Equal(tested, listed) || len(listed) != 22 {
			t.Errorf("got tests of %v, wanted those of the list, %v", tested, listed)
		}
	})

	// Each intervention that a file can name is among those that are drawn at random and compared with the oracle.
	t.Run("19 every intervention is compared", func(t *testing.T) {
		var drawn []string
		for _, kind := range kindsAt(interv.Sites{Width: 4, Input: blockInput}) {
			drawn = append(drawn, rapid.Custom(func(t *rapid.T) string {
				s := &scenario{T: t}
				s.coin("any, as a generator must draw something")
				return fmt.Sprintf("%T", s.drawIntervention(kind, 4))
			}).Example(1))
		}
		registered := matches(t, `[^.]Register\((\w+)\{`, "*.go")
		for _, name := range registered {
			if !slices.Contains(drawn, "interv."+name) {
				t.Errorf("%s is never drawn", name)
			}
		}
		if len(registered) < 15 {
			t.Errorf("got %v, wanted more", registered)
		}
	})

	// That a loaded model equals the saved one was computed, and not asserted.
	t.Run("19 what is loaded does what was saved", func(t *testing.T) {
		model, call := stretch(3, dtypes.Float32)
		iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
		iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1}).MustStep(call) // away from what the seed draws
		folder := t.TempDir()
		must(t, iv.Save(folder))
		wantSame(t, "output", flat(interv.MustLoad(engine, model, folder).MustRun(call).Output), flat(iv.MustRun(call).Output))
	})
}

// fails tells whether a check does.
func fails(t *testing.T, check func(t rapid.TB)) bool {
	v := &verdict{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		check(v)
	}()
	<-done
	return v.failed
}

// verdict takes what a check reports in the place of a test.
type verdict struct {
	rapid.TB
	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Fatal(...any)          { v.Fatalf("") }
func (v *verdict) Fatalf(string, ...any) { v.failed = true; runtime.Goexit() }

// matches are what the groups of a pattern match in files, each once and sorted.
func matches(t *testing.T, pattern string, globs ...string) (found []string) {
	t.Helper()
	for _, glob := range globs {
		paths, err := filepath.Glob(glob)
		must(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			must(t, err)
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				found = append(found, strings.Join(match[1:], ""))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
