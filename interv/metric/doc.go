// Package metric has what runs are measured by: metrics that a call computes where the model runs, so that of its logits only one number
// an example comes back.
//
//	result := patch.MustRun(interv.Call{ …, Metrics: []interv.Measure{
//		{Metric: metric.LogitDifference{Right: metric.Each(paris), Wrong: metric.Each(rome)}},
//	}})
//	fmt.Println(result.MustMetric("logit_difference"))
//
// In the formulas z are the logits that a metric reads of an example, one for each token of the vocabulary or each label, by default at
// the example's last position that is not padding ([interv.Measure] names others), and p = softmax(z).
//
// Tokens and labels are settings of a metric but runtime inputs of its program: others compile nothing anew. Every metric has a JSON form
// ([interv.Measure], [interv.MarshalMetric]) but [Func]. Numbers are float32; float64 of a model whose weights are.
package metric
