package nearest

import "testing"

func TestName(t *testing.T) {
	names := []string{"cell_output", "cell_input", "x2h_output", "kl"}
	for got, want := range map[string]string{
		"cel_output": "cell_output", "cellinput": "cell_input", "x2h_output": "x2h_output", "attention": "", "": "",
	} {
		if name := Name(got, names); name != want {
			t.Errorf("Name(%q) = %q, wanted %q", got, name, want)
		}
	}
}
