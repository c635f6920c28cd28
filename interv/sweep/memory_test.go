package sweep

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"2GiB": 2 << 30, "1536MiB": 1536 << 20, "7KiB": 7 << 10, "11B": 11, "0B": 0, "8589934591GiB": (1<<33 - 1) << 30} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "GiB", "2 GiB", "-1B", "1.5GiB", "2GB", "8589934592GiB", "99999999999999999999B"} {
		wanted.Refusal(t, new(Bytes).UnmarshalText([]byte(text)), "memory", "2GiB")
	}
}

func FuzzBytes(f *testing.F) {
	f.Add("2GiB")
	f.Fuzz(func(t *testing.T, text string) {
		var read, again Bytes
		if read.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(read.String())); err != nil || again != read || read < 0 {
			t.Errorf("%q is %d, %v is %d (%v)", text, read, read, again, err)
		}
	})
}

// A sweep takes no more than its limit, in as many chunks as that takes. Where the limit leaves the plan as it is, so are all bits; in smaller
// chunks numbers are the same but for rounding, and come again to the bit. What is too little says what is enough.
func TestMemory(t *testing.T) {
	model, s := scene(t, "gpt2")
	for component, bytes := range map[interv.Component]func(p *Plan) int{
		transformer.BlockOutput: func(p *Plan) int { return p.packed.bytes(p.packed.layout) },
		transformer.FinalNorm:   func(p *Plan) int { return p.batch.rows * p.batch.bytes() },
	} {
		if component == transformer.FinalNorm && few() {
			continue // XLA compiles for seconds
		}
		s.Components, s.Memory = []interv.Component{component}, 0
		run := func() (*Plan, *Result) {
			t.Helper()
			p, err := s.Plan(machine, model)
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if s.Memory > 0 && (Bytes(bytes(p)) > s.Memory || !strings.Contains(p.Explain(), "of "+s.Memory.String()+" allowed")) {
				t.Errorf("%d bytes: %s", bytes(p), p.Explain())
			}
			return p, r
		}
		same := func(a, b *Result) bool {
			return slices.EqualFunc(append(a.Values, a.Base, a.Source), append(b.Values, b.Base, b.Source), slices.Equal[[]float64])
		}
		free, want := run()
		s.Memory = Bytes(bytes(free))
		if _, got := run(); !same(got, want) {
			t.Errorf("%s: a limit that changes nothing changes bits", component)
		}
		s.Memory = 1
		_, err := s.Plan(machine, model)
		wanted.Refusal(t, err, "memory", "1B", "at least 1MiB")
		s.Memory = Bytes(bytes(free)) / 2
		limited, got := run()
		if bytes(limited) == bytes(free) {
			t.Errorf("%s: the plan is as without a limit", component)
		}
		for i := range want.Values {
			near(t, string(component), got.Values[i], want.Values[i])
		}
		if _, again := run(); !same(again, got) {
			t.Errorf("%s: the second time, bits are others", component)
		}
	}
	text, err := json.Marshal(s)
	var read Sweep
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil || read.Memory != s.Memory || s.Memory == 0 {
		t.Errorf("%s is read as %v (%v)", text, read.Memory, err)
	}
}
