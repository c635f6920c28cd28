package causal

import (
	"cmp"
	"slices"
)

// LivePaths lists the paths along which the values of the run with these fixed variables matter: every sequence of variables, two at
// least, each computed from the one before, in which every arrow is live. An arrow is live if another value of its parent, all other
// parents left as they are, would change the variable; an arrow into a fixed variable is not. Shorter paths come first.
//
// All variables that others are computed from need listed values.
func (m *Model) LivePaths(fixed Setting) ([][]string, error) {
	setting, err := m.Run(fixed)
	if err != nil {
		return nil, err
	}
	return m.livePaths(setting, fixed)
}

func (m *Model) livePaths(setting, fixed Setting) ([][]string, error) {
	live := map[string][]string{} // of each variable, those to which an arrow from it is live
	for _, n := range m.variables {
		if _, isFixed := fixed[n.Name]; isFixed {
			continue
		}
		for i, parent := range n.parents {
			if alive, err := n.live(i, setting); err != nil {
				return nil, err
			} else if alive {
				live[parent.Name] = append(live[parent.Name], n.Name)
			}
		}
	}
	var paths [][]string
	var extend func(path []string)
	extend = func(path []string) {
		for _, next := range live[path[len(path)-1]] {
			longer := append(slices.Clone(path), next)
			paths = append(paths, longer)
			extend(longer)
		}
	}
	for _, n := range m.variables {
		extend([]string{n.Name})
	}
	slices.SortStableFunc(paths, func(a, b []string) int { return cmp.Compare(len(a), len(b)) })
	return paths, nil
}

// live tells whether another value of parent i would change the variable.
func (n *node) live(i int, setting Setting) (bool, error) {
	if len(n.parents[i].Values) == 0 {
		return false, n.parents[i].unlisted("live paths")
	}
	arguments := n.arguments(setting)
	for _, value := range n.parents[i].Values {
		arguments[i] = value
		result, err := n.compute(arguments)
		if result != setting[n.Name] || err != nil {
			return err == nil, err
		}
	}
	return false, nil
}

// Holds is a filter for settings that agree with a partial one.
func (m *Model) Holds(partial Setting) Filter {
	return func(setting Setting) (bool, error) {
		for name, value := range partial {
			n, err := m.find("filter", name)
			if err != nil {
				return false, err
			}
			if err := n.checkListed("filter", value); err != nil {
				return false, err
			}
			if setting[name] != value {
				return false, nil
			}
		}
		return true, nil
	}
}

// LongestPath is a filter for runs without intervention whose longest live path has one of these numbers of arrows; 0 where no arrow
// is live.
func (m *Model) LongestPath(arrows ...int) Filter {
	return func(setting Setting) (bool, error) {
		paths, err := m.livePaths(setting, nil)
		longest := 0
		if len(paths) > 0 {
			longest = len(paths[len(paths)-1]) - 1
		}
		return err == nil && slices.Contains(arrows, longest), err
	}
}

// LivePath is a filter for runs without intervention in which a live path leads from one variable to another.
func (m *Model) LivePath(from, to string) Filter {
	return func(setting Setting) (bool, error) {
		for _, name := range []string{from, to} {
			if _, err := m.find("filter", name); err != nil {
				return false, err
			}
		}
		paths, err := m.livePaths(setting, nil)
		return slices.ContainsFunc(paths, func(path []string) bool { return path[0] == from && path[len(path)-1] == to }), err
	}
}
