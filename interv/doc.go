// Package interv finds out what the activations of a neural network cause. It takes activations from one run of a model, the
// source, puts them — whole, in part, or through a rotation — into another run, the base, and returns what the model then says:
// the counterfactual output.
//
// # The idea
//
// A [Model] announces every activation to a [Tap] while its graph is built. A clean run, a collecting run and an intervened run
// are the same graph function with different taps. A [Config] says at which [Site] which [Intervention] acts; [New] checks it
// against the model's [Catalogue]; a [Call] says which units are read and written, for each example; and [Intervenable.Run] runs
// sources and base as one compiled program. Where units are, what is selected and the inputs themselves are runtime inputs of
// that program: only shapes decide whether a call compiles a new one, as [Intervenable.Stats] shows.
//
// # What holds
//
// Units that are not located keep their value, bit for bit. Interventions compound in network order, at one site in config order.
// Example i is affected by row i of everything and by nothing else. A call changes nothing in its inputs or in the model, and may
// run beside others. What cannot take effect is an [*Error], never a no-op.
package interv
