// Package short has eight jobs as users write them, as examples; the Python files beside have the same with three peers. docs/short.md counts
// their lines.
package short
