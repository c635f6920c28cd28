// Package nearest finds the valid name that somebody probably meant, for error messages.
package nearest

// Name is the name with the smallest edit distance to got, or "" if all differ in more than half of their letters, or got has none.
func Name(got string, names []string) string {
	if got == "" {
		return ""
	}
	best, bestDistance := "", 1+max(2, len(got)/2)
	for _, name := range names {
		if distance := editDistance(got, name); distance < bestDistance {
			best, bestDistance = name, distance
		}
	}
	return best
}

// editDistance is Levenshtein's: the least number of letters inserted, deleted or replaced to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
