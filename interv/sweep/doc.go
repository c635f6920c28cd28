// Package sweep tries many patches of a model on many pairs of inputs, and reads one number of each: where in the model is what tells a source
// from a base? A map of layers and positions is one call.
//
//	result, err := sweep.Run(ctx, engine, model, sweep.Sweep{
//		Base: corrupted, Source: clean,
//		Components: []interv.Component{transformer.BlockOutput}, Positions: sweep.UpTo(8),
//		Metric: metric.LogitDifference{Right: metric.Each(paris), Wrong: metric.Each(rome)},
//	})
//	nb.Show(result.Plot())
//
// # What a cell is
//
// Let a be the activation at a place of a site in the run on a pair's base b, and a′ that of the run on its source s. A cell replaces a by
// I(a, a′), with I the intervention (a′ itself for [interv.Vanilla]), and its number for the pair is the metric m of what the model then
// says. With the corrupted input as base and the clean one as source this is denoising, the other way round noising. The share of the effect
// that a cell recovers is (m − m(b)) / (m(s) − m(b)); see [Result.Recovered].
//
// With [interv.Zero] cells are ablations; From tells others: [FromMean] and [FromOther] (resample ablation). Causal tracing (Meng et al.,
// "Locating and Editing Factual Associations in GPT", 2022) is noise on the subject as Corrupt, a Window of layers, and no source: cells
// restore what the clean run has. The share that a cell recovers is then (m − m(corrupted)) / (m(b) − m(corrupted)).
//
// # How it is computed
//
// A model that is made of blocks ([interv.Blocks]) runs base and source once. What a cell changes is computed from its block and its first
// position on alone, many such segments of any layers, positions and pairs packed side by side, in three programs: the embedding, a block
// (one more for each further kind of block), and the finish. Large sweeps have an embedding and blocks for clean runs besides, so that
// segments may have a shape that suits them. Other models, and interventions that may compute one unit from others, run as batches whose rows
// are patched at places of their own, in two programs. The numbers are the same but for rounding. [Sweep.Plan] says beforehand which way is
// taken, why, and what it costs.
package sweep
