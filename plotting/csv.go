package plotting

import (
	"encoding/csv"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	wholeNumber   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimalNumber = regexp.MustCompile(`^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|[-+]Inf)$`)
)

// ReadCSV reads a table: a line of names, then one line for each row. A column whose cells are all whole numbers, written without
// leading zeros, becomes one of int; one whose cells are all decimal numbers, or exactly NaN, +Inf or -Inf, one of float64; any
// other one of string, as does one with an empty cell.
func ReadCSV(r io.Reader) (*Frame, error) {
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, refuse("CSV", "nothing", "a line of column names")
	}
	columns := make([]Column, len(records[0]))
	for i, name := range records[0] {
		cells := make([]string, len(records)-1)
		for row, record := range records[1:] {
			cells[row] = record[i]
		}
		columns[i] = columnOf(name, cells)
	}
	return NewFrame(columns...)
}

// columnOf gives cells the narrowest type that holds all of them.
func columnOf(name string, cells []string) Column {
	ints, isInt := make([]int, len(cells)), len(cells) > 0
	floats, isFloat := make([]float64, len(cells)), len(cells) > 0
	for i, cell := range cells {
		var err error
		if isInt = isInt && wholeNumber.MatchString(cell) && cell != "-0"; isInt {
			ints[i], err = strconv.Atoi(cell)
			isInt = err == nil
		}
		if isFloat = isFloat && decimalNumber.MatchString(cell); isFloat {
			floats[i], err = strconv.ParseFloat(cell, 64)
			isFloat = err == nil
		}
	}
	switch {
	case isInt:
		return NewColumn(name, ints)
	case isFloat:
		return NewColumn(name, floats)
	}
	return NewColumn(name, cells)
}

// WriteCSV writes the table so that [ReadCSV] reads the same values again; the order of levels is lost, and so is the type of a
// column of texts that look like numbers.
func (f *Frame) WriteCSV(w io.Writer) error {
	if len(f.columns) == 0 {
		return refuse("CSV", "a table without columns", "at least one")
	}
	writer := csv.NewWriter(w)
	if err := writer.Write(f.Names()); err != nil {
		return err
	}
	record := make([]string, len(f.columns))
	for row := range f.Len() {
		for i, c := range f.columns {
			record[i] = c.text(row)
			if floats, ok := c.values.([]float64); ok {
				record[i] = decimal(floats[row])
			}
		}
		if err := writeRecord(w, writer, record); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

// writeRecord quotes the one cell that csv.Writer leaves bare and csv.Reader then skips as an empty line.
func writeRecord(w io.Writer, writer *csv.Writer, record []string) error {
	if len(record) > 1 || record[0] != "" {
		return writer.Write(record)
	}
	writer.Flush()
	_, err := io.WriteString(w, "\"\"\n")
	return err
}

// decimal writes a number in the fewest digits that read back the same, and so that it reads back as no whole number.
func decimal(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") && !math.IsNaN(v) && !math.IsInf(v, 0) {
		text += ".0"
	}
	return text
}
