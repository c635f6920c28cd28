package causal

import "github.com/govene/govene/internal/refusal"

// Error says what is wrong with a model, a setting or a data set, in terms of the user's own words. Its fields are texts: Where, the part
// at fault ("variable WX", "interchange"); Axis, what of it ("parents", "values"), which may be empty; Got and Wanted; and Nearest, the
// valid name most like the one got, empty if none is close. It is also interv.Error.
//
// Every refusal of this package is an *Error, to be inspected with errors.As.
type Error = refusal.Error
