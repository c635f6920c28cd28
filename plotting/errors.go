package plotting

import "github.com/govene/govene/internal/refusal"

// Error says what is wrong with a table or a plot, in the user's own words. Its fields are texts: Where, the part at fault
// (`column "prob"`, "Text"); Axis, which is empty here; Got and Wanted; and Nearest, the valid name most like the one got, empty if none
// is close. Every refusal of this package is an *Error, but for what reading and writing files may meet.
type Error = refusal.Error

func refuse(where, got, wanted string) *Error { return &Error{Where: where, Got: got, Wanted: wanted} }

// unknownName is the error for a name that is not among the valid ones.
func unknownName(where, got string, valid []string) *Error {
	return refusal.UnknownName(where, "", got, valid)
}
