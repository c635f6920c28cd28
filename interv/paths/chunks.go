package paths

import (
	"context"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// clean is what the clean runs of some pairs leave on the device: base i in row i, and its source in row i + pairs.
type clean struct {
	pairs   []int
	streams []*tensors.Tensor                      // what each block reads, and last what the topmost returns
	written map[interv.Component][]*tensors.Tensor // in each block; of embeddings once
	logits  *tensors.Tensor                        // that are read, of each row; nil unless the metric reads the clean run
}

func (c *clean) free() {
	programs.Free(c.streams...)
	for _, list := range c.written {
		programs.Free(list...)
	}
	programs.Free(c.logits)
}

// rowsOf are the rows of bases of items; their sources are so many pairs further on.
func (c *clean) rowsOf(items []item) []int {
	rows := make([]int, len(items))
	for i, it := range items {
		rows[i] = slices.Index(c.pairs, it.pair)
	}
	return rows
}

// run runs all paths of some pairs after the other pairs', as many as there is room for in clean runs.
func (s *stack) run(ctx context.Context, result *sweep.Result) error {
	defer func() {
		for _, p := range s.programs() {
			result.Stats.Programs++
			result.Stats.Compiling += p.Waited
			p.Finalize()
		}
	}()
	if err := s.compile(); err != nil {
		return err
	}
	if err := s.model.Weights().Upload(s.backend); err != nil {
		return err
	}
	for pairs := range slices.Chunk(interv.Range(0, s.extent.Batch), s.rows/2) {
		if err := s.group(ctx, pairs, result); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) group(ctx context.Context, pairs []int, result *sweep.Result) error {
	c, values, err := s.clean(pairs)
	defer c.free()
	if err != nil {
		return err
	}
	for i, pair := range pairs {
		result.Base[pair], result.Source[pair] = values[i], values[len(pairs)+i]
	}
	for items := range slices.Chunk(s.items(pairs), s.rows) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		values, err := s.chunk(c, items)
		if err != nil {
			return err
		}
		for i, it := range items {
			result.Values[it.sender][it.pair] = values[i]
		}
	}
	return nil
}

// clean runs bases and sources of pairs, and measures them. Rows that are left are like the first.
func (s *stack) clean(pairs []int) (c *clean, values []float64, err error) {
	c = &clean{pairs: pairs, written: map[interv.Component][]*tensors.Tensor{}}
	items := make([]item, s.rows)
	for row := range items {
		items[row].pair = pairs[0]
	}
	for i, pair := range pairs {
		items[i].pair, items[len(pairs)+i].pair = pair, pair
	}
	f := s.place(items, func(row int) interv.Inputs {
		if row >= len(pairs) && row < 2*len(pairs) {
			return s.Source
		}
		return s.Base
	})
	base := interv.Range(0, s.rows)
	f["base"], f["source"], f["fresh"] = programs.Int32s(base, s.rows), programs.Int32s(base, s.rows), s.zeros(shapes.Make(dtypes.Int32, s.rows))
	x, embedding, err := s.runEmbedding(f, c, nil)
	if err != nil {
		return c, nil, err
	}
	c.streams = append(c.streams, x)
	if s.embedded {
		c.written[transformer.Embedding] = []*tensors.Tensor{embedding}
	}
	for layer := range s.layers {
		results, err := s.runBlock(s.block, f, c, layer, x, nil)
		if err != nil {
			return c, nil, err
		}
		x = results[0]
		c.streams = append(c.streams, x)
		for i, component := range s.written {
			c.written[component] = append(c.written[component], results[1+i])
		}
	}
	x = c.streams[s.layers-1]
	if interv.ReadsClean(s.Metric) {
		if _, c.logits, err = s.runFinish(f, c, items, x, nil, nil); err != nil {
			return c, nil, err
		}
	}
	values, logits, err := s.runFinish(f, c, items, x, nil, nil)
	programs.Free(logits)
	return c, values, err
}

// chunk runs the paths of items, and returns the metric of each. Rows that are left are like the first.
func (s *stack) chunk(c *clean, items []item) ([]float64, error) {
	for len(items) < s.rows {
		items = append(slices.Clip(items), items[0])
	}
	f := s.place(items, func(int) interv.Inputs { return s.Base })
	base := c.rowsOf(items)
	source := slices.Clone(base)
	for row := range source {
		source[row] += len(c.pairs)
	}
	f["base"], f["source"] = programs.Int32s(base, s.rows), programs.Int32s(source, s.rows)
	read, sent, err := s.first(f, c, items)
	defer func() {
		programs.Free(sent)
		for _, list := range read {
			programs.Free(list...)
		}
	}()
	if err != nil {
		return nil, err
	}
	return s.second(f, c, items, read, sent)
}

// first runs the items' streams from the senders to the receivers: what these read, by layer, and the stream above all blocks, if it is received.
func (s *stack) first(f programs.Feed, c *clean, items []item) (read map[int][]*tensors.Tensor, sent *tensors.Tensor, err error) {
	read = map[int][]*tensors.Tensor{}
	start := s.through + 1
	for _, it := range items {
		start = min(start, s.job.senders[it.sender].entry())
	}
	x, fresh := c.streams[max(0, start)], 1
	if start < 0 {
		var embedding *tensors.Tensor
		if x, embedding, err = s.runEmbedding(f, c, items); err != nil {
			return read, nil, err
		}
		programs.Free(embedding)
		fresh = 0
	}
	for layer := max(0, start); layer <= s.through; layer++ {
		program, results := s.carry, []*tensors.Tensor(nil)
		switch {
		case s.receivesIn[layer]:
			program = s.receive
		case slices.ContainsFunc(items, func(it item) bool { return s.job.senders[it.sender].entry() == layer }):
			program = s.send
		}
		f := f.With(programs.Feed{"fresh": s.all(fresh)})
		s.feedSenders(f, items, layer)
		results, err = s.runBlock(program, f, c, layer, x, nil)
		if fresh == 0 {
			programs.Free(x)
		}
		if err != nil {
			return read, nil, err
		}
		fresh, x = 0, nil
		if s.receivesIn[layer] {
			read[layer], results = results[:len(s.ends)], results[len(s.ends):]
		}
		if len(results) > 0 {
			x = results[0]
		}
	}
	if s.final {
		return read, x, nil
	}
	programs.Free(x)
	return read, nil, nil
}

// second runs the bases of items with what receivers have read put in.
func (s *stack) second(f programs.Feed, c *clean, items []item, read map[int][]*tensors.Tensor, sent *tensors.Tensor) ([]float64, error) {
	start := s.layers - 1
	for layer := range read {
		start = min(start, layer)
	}
	x, fresh := c.streams[start], 1
	for layer := start; layer < s.layers-1; layer++ {
		f := f.With(programs.Feed{"fresh": s.all(fresh)})
		s.feedReceivers(f, items, layer, read)
		results, err := s.runBlock(s.block, f, c, layer, x, read)
		if fresh == 0 {
			programs.Free(x)
		}
		if err != nil {
			return nil, err
		}
		x, fresh = results[0], 0
		programs.Free(results[1:]...)
	}
	f = f.With(programs.Feed{"fresh": s.all(fresh)})
	s.feedReceivers(f, items, s.layers-1, read)
	values, logits, err := s.runFinish(f, c, items, x, read, sent)
	if fresh == 0 {
		programs.Free(x)
	}
	programs.Free(logits)
	return values, err
}

// runEmbedding returns the stream below all blocks, and embeddings if any are sent; in clean runs there are no items.
func (s *stack) runEmbedding(f programs.Feed, c *clean, items []item) (x, embedding *tensors.Tensor, err error) {
	f = f.With(nil)
	f.Take("outer", s.blocks.OuterWeights(), s.model.Weights().Tensor)
	if s.embedded {
		f["written "+string(transformer.Embedding)] = s.zeros(s.stream)
		f["sends "+string(transformer.Embedding)] = s.zeros(s.hitShape(transformer.Embedding))
		if items != nil {
			f["written "+string(transformer.Embedding)] = c.written[transformer.Embedding][0]
			s.feedHits(f, "sends", transformer.Embedding, items, s.sends(-1, transformer.Embedding))
		}
	}
	results, err := s.embed.Run(f)
	if err != nil {
		return nil, nil, err
	}
	if s.embedded {
		embedding = results[1]
	}
	return results[0], embedding, nil
}

// runBlock runs the program of a layer's kind. Where nothing is received, receivers read nothing.
func (s *stack) runBlock(kinds map[int]*programs.Program, f programs.Feed, c *clean, layer int, x *tensors.Tensor,
	read map[int][]*tensors.Tensor) ([]*tensors.Tensor, error) {
	f = f.With(nil)
	s.feedBlock(f, c, layer, x, read)
	return kinds[s.blocks.Kind(layer)].Run(f)
}

// runFinish returns the metric of each row, and, if it reads the clean run, the logits.
func (s *stack) runFinish(f programs.Feed, c *clean, items []item, x *tensors.Tensor, read map[int][]*tensors.Tensor,
	sent *tensors.Tensor) (values []float64, logits *tensors.Tensor, err error) {
	f = f.With(nil)
	s.feedBlock(f, c, s.layers-1, x, read)
	f.Take("outer", s.blocks.OuterWeights(), s.model.Weights().Tensor)
	pairs, reads := make([]int, s.rows), make([]int, s.rows)
	for row, it := range items {
		pairs[row], reads[row] = it.pair, s.reads[it.pair]
	}
	f["reads"] = programs.Int32s(reads, s.rows, 1)
	for name, t := range host.Examples(s.reading.Data, pairs) {
		f["data "+name] = t
	}
	if s.final {
		f["sent"], f["receives "+string(transformer.FinalNorm)] = sent, s.all(1)
		if sent == nil {
			f["sent"], f["receives "+string(transformer.FinalNorm)] = s.zeros(s.stream), s.all(0)
		}
	}
	if f["clean logits"] = c.logits; c.logits == nil {
		f["clean logits"] = s.zeros(s.logitsShape())
	}
	return s.finish.RunNumbers(f)
}
