// Package foreign gives models interventions whose graphs know nothing of Govene: GoMLX's own, such as the transformers of its zoo (see
// package zoo), those that go-huggingface loads, or yours. Configs, calls and results are those of package interv.
//
// # The idea
//
// A GoMLX graph can be read, and a node of it computed once more from other inputs. So a run is built first as the model builds it. Then
// the nodes that a [Description] declares as sites are found, and announced one by one, in the graph's order. Where an intervention
// returns another value, what depends on that node is cloned, reading the new value. Nothing else is: a run without edits is the
// model's own graph, and of the nodes that an edit has replaced, the compiler drops the old ones. A program is thus the one that a
// model with taps would have made, as fast and with the same gradients.
//
// # Your own model
//
// Say what its inputs are and where its activations are. There are four ways to find a node, safest first:
//
//	foreign.Alias("layer_%d/mlp")        the model says so itself: x.WithAlias("mlp") within g.PushAliasScope("layer_3")
//	foreign.Module("/layer_%d/mlp")      the output of the module that has the weights below this path
//	foreign.Reads("/layer_%d/mlp/up")    what a dense layer reads; an edit reaches this layer alone, not a residual path beside it
//	foreign.Nth(graph.NodeTypeAdd, 1, 2) the second of every two sums that have the site's shape
//
// or a [Selector] of your own, which walks the graph from what these find; [Then] is one. A node may have another shape than the
// catalogue's sites: heads side by side, positions in rows and columns, no position axis at all. Sites.Dims says which.
//
// Where weights come from decides between two constructors. [FromStore] takes a function for GoMLX's model.Exec together with its
// model.Store. [New] takes weights by name, and a function that finds them in a map. Both try the description on a small graph that is
// never compiled: a site whose node is not found, is found twice or has another shape is an [interv.Error] that names it. What depends on
// the extent of a run is checked again in each.
//
// # Limits
//
// Rows cannot join the batch ([interv.Tap.Join]): shapes are fixed when the graph is built. A loop or branch (While, If) takes edited
// values as its state; if it captures one instead, the edit is refused. A gradient written by hand (IdentityWithCustomGradient) must
// read nothing but its arguments; other nodes that it reads are those of the clean run. So is, with fused attention on CUDA, a bias that
// depends on an activation. Absolute aliases and named functions exist once in a graph, which holds several runs: use relative
// aliases, and g.UniqueName. In loops use Const, not Scalar, which GoMLX shares between the functions of a graph. Aside from these,
// padding is unknown to a foreign model: a location counts from the end of a whole row.
package foreign
