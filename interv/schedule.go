package interv

import "math"

// Schedules are what a learning rate is multiplied with, or a temperature is, at each step, which counts from 0.

// Linear goes from one value to another over a number of steps, from + (to − from) · step/steps, and stays there.
func Linear(from, to float64, steps int) func(step int) float64 {
	return func(step int) float64 {
		return from + (to-from)*min(1, float64(step)/float64(max(1, steps)))
	}
}

// Cosine goes from one value to another along half a period of a cosine, to + (from − to)·(1 + cos(π·step/steps))/2, and stays there:
// Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without the restarts.
func Cosine(from, to float64, steps int) func(step int) float64 {
	return func(step int) float64 {
		return to + (from-to)*(1+math.Cos(math.Pi*min(1, float64(step)/float64(max(1, steps)))))/2
	}
}

// WarmUp climbs in equal steps to what another schedule begins with, then(0) · (step + 1)/steps, and goes on with it from there:
// then(step − steps). A nil schedule stands for 1 throughout.
func WarmUp(steps int, then func(step int) float64) func(step int) float64 {
	if then == nil {
		then = func(int) float64 { return 1 }
	}
	return func(step int) float64 {
		if step < steps {
			return then(0) * float64(step+1) / float64(steps)
		}
		return then(step - steps)
	}
}
