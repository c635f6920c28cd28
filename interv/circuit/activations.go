package circuit

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// activations are what nodes write, by site: [pair, position, width], or [pair, head, position, width] of heads.
type activations map[interv.Site]*tensors.Tensor

// sitesOf are the sites at which nodes write, each once.
func (p *parts) sites() (sites []interv.Site) {
	for _, n := range p.writers {
		if n.Head == 0 {
			sites = append(sites, interv.Site{Layer: n.Layer, Component: n.Component})
		}
	}
	return sites
}

// collector reads activations from runs of a model.
type collector struct {
	sites []interv.Site
	iv    *interv.Intervenable
}

func newCollector(backend compute.Backend, model interv.Model, sites []interv.Site) (*collector, error) {
	c := &collector{sites: sites}
	var config interv.Config
	for _, site := range sites {
		r := interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: interv.Collect{}}
		if site.Component == transformer.HeadAttentionValueOutput {
			r.Unit = interv.HeadPosition
		}
		config.Representations = append(config.Representations, r)
	}
	var err error
	c.iv, err = interv.New(backend, model, config)
	return c, err
}

// run collects the activations on some inputs.
func (c *collector) run(inputs interv.Inputs) (activations, error) {
	call := interv.Call{Base: inputs}
	for range c.sites {
		call.Locations = append(call.Locations, interv.Everywhere())
	}
	result, err := c.iv.Run(call)
	if err != nil {
		return nil, err
	}
	a := activations{}
	for i, site := range c.sites {
		a[site] = result.Collected[i].Value
	}
	return a, nil
}

// each makes new activations of the values of those at each site, with the number of pairs.
func (a activations) each(change func(values []float64, pairs int)) activations {
	changed := activations{}
	for site, t := range a {
		values := host.Floats(t)
		change(values, t.Shape().Dim(0))
		changed[site] = host.Tensor(values, t.DType(), t.Shape().Dimensions...)
	}
	return changed
}

// meanOverPairs puts the mean over pairs in the place of each.
func meanOverPairs(values []float64, pairs int) {
	size := len(values) / pairs
	for k := range size {
		mean := 0.0
		for pair := range pairs {
			mean += values[pair*size+k] / float64(pairs)
		}
		for pair := range pairs {
			values[pair*size+k] = mean
		}
	}
}
