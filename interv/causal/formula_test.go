package causal_test

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Golden cases write mechanisms as Python expressions. This file parses and evaluates them as Python does, for integers up to 2⁵⁰,
// floats, truth values and strings.

// evaluator is the value of an expression, given those of its variables.
type evaluator func(variables map[string]any) (any, error)

// formulaParser reads one Python expression by precedence climbing.
type formulaParser struct {
	tokens []string
	depth  int
	names  []string // the variables that the expression reads
}

var token = regexp.MustCompile(`^\s*(\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+|[A-Za-z_]\w*|"[^"\\]*"|'[^'\\]*'|\*\*|//|[=!<>]=|[-+*/%<>&|^(),])\s*`)

// precedence of binary operators; not has 3 and a sign 10.
var precedence = map[string]int{"or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
	"|": 5, "^": 6, "&": 7, "+": 8, "-": 8, "*": 9, "/": 9, "//": 9, "%": 9, "**": 11}

const (
	notLevel        = 3
	comparisonLevel = 4
	signLevel       = 10
)

// parseFormula returns the expression and the names of its variables.
func parseFormula(text string) (evaluator, []string, error) {
	p := &formulaParser{}
	for rest := text; strings.TrimSpace(rest) != ""; {
		match := token.FindStringSubmatch(rest)
		if match == nil {
			return nil, nil, fmt.Errorf("%q: unknown at %q", text, rest)
		}
		p.tokens, rest = append(p.tokens, match[1]), rest[len(match[0]):]
	}
	evaluate, err := p.conditional()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("unexpected %q", p.peek())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%q: %w", text, err)
	}
	return evaluate, p.names, nil
}

func (p *formulaParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *formulaParser) accept(token string) bool {
	if p.peek() != token {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

// conditional is "a if c else b", or an expression.
func (p *formulaParser) conditional() (evaluator, error) {
	yes, err := p.expression(1)
	if err != nil || !p.accept("if") {
		return yes, err
	}
	condition, err := p.expression(1)
	if err != nil {
		return nil, err
	}
	if !p.accept("else") {
		return nil, fmt.Errorf("got %q, wanted else", p.peek())
	}
	no, err := p.conditional()
	return func(v map[string]any) (any, error) {
		value, err := condition(v)
		if err == nil && truth(value) {
			return yes(v)
		}
		if err == nil {
			return no(v)
		}
		return nil, err
	}, err
}

// expression reads operators of at least the given precedence.
func (p *formulaParser) expression(level int) (evaluator, error) {
	if p.depth++; p.depth > 200 {
		return nil, fmt.Errorf("nested too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.operand(level)
	for err == nil {
		operator := p.peek()
		binding, isOperator := precedence[operator]
		if !isOperator || binding < level {
			break
		}
		if binding == comparisonLevel {
			left, err = p.comparison(left)
			continue
		}
		p.accept(operator)
		above := binding + 1
		if operator == "**" { // binds to the right, and weaker than a sign on its right
			above = signLevel
		}
		first := left
		var second evaluator
		second, err = p.expression(above)
		left = func(v map[string]any) (any, error) { return binary(operator, first, second, v) }
	}
	return left, err
}

// operand reads what stands before a binary operator.
func (p *formulaParser) operand(level int) (evaluator, error) {
	switch {
	case level <= notLevel && p.accept("not"):
		inner, err := p.expression(notLevel)
		return func(v map[string]any) (any, error) {
			value, err := inner(v)
			return !truth(value), err
		}, err
	case level <= signLevel && (p.peek() == "-" || p.peek() == "+"):
		sign := p.peek()
		p.accept(sign)
		inner, err := p.expression(signLevel)
		zero := func(map[string]any) (any, error) { return 0, nil }
		return func(v map[string]any) (any, error) { return binary(sign, zero, inner, v) }, err
	case p.accept("("):
		inner, err := p.conditional()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("got %q, wanted )", p.peek())
		}
		return inner, err
	case p.peek() == "":
		return nil, fmt.Errorf("ends too early")
	}
	word := p.peek()
	p.accept(word)
	return p.atom(word)
}

// atom is a constant, a variable or a call.
func (p *formulaParser) atom(word string) (evaluator, error) {
	constant := func(value any) (evaluator, error) {
		return func(map[string]any) (any, error) { return value, nil }, nil
	}
	switch first := word[0]; {
	case word == "True", word == "False":
		return constant(word == "True")
	case first == '"', first == '\'':
		return constant(word[1 : len(word)-1])
	case first == '.' || first >= '0' && first <= '9':
		if whole, err := strconv.Atoi(word); err == nil {
			return constant(whole)
		}
		number, err := strconv.ParseFloat(word, 64)
		value, _ := constant(number)
		return value, err
	case slices.Contains([]string{"if", "else", "not", "in", "is", "lambda", "None", ")", ","}, word), precedence[word] > 0:
		return nil, fmt.Errorf("unexpected %q", word)
	case p.accept("("):
		return p.call(word)
	}
	if !slices.Contains(p.names, word) {
		p.names = append(p.names, word)
	}
	return func(v map[string]any) (any, error) {
		value, ok := v[word]
		if !ok {
			return nil, fmt.Errorf("no variable %q", word)
		}
		return value, nil
	}, nil
}

// call reads the arguments of min, max, abs, int or bool.
func (p *formulaParser) call(name string) (evaluator, error) {
	var arguments []evaluator
	for {
		argument, err := p.conditional()
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, argument)
		if p.accept(")") {
			break
		}
		if !p.accept(",") {
			return nil, fmt.Errorf("got %q, wanted a comma or )", p.peek())
		}
	}
	several := name == "min" || name == "max"
	if !several && name != "abs" && name != "int" && name != "bool" || several != (len(arguments) > 1) {
		return nil, fmt.Errorf("no function %s of %d arguments", name, len(arguments))
	}
	return func(v map[string]any) (any, error) {
		best, err := arguments[0](v)
		for _, argument := range arguments[1:] {
			value, argumentErr := argument(v)
			better, compareErr := holds(map[string]string{"min": "<", "max": ">"}[name], value, best)
			if err = cmp.Or(err, argumentErr, compareErr); err != nil {
				return nil, err
			}
			if better {
				best = value
			}
		}
		switch number, _, isNumber := numeric(best); {
		case err != nil || several:
			return best, err
		case name == "bool":
			return truth(best), nil
		case !isNumber:
			return nil, fmt.Errorf("%s of %#v", name, best)
		case name == "int":
			return arithmetic("+", math.Trunc(number), true)
		case number < 0:
			return operate("-", 0, best)
		}
		return operate("+", 0, best)
	}, nil
}

// comparison reads a chain: a < b < c means a < b and b < c, with b evaluated once.
func (p *formulaParser) comparison(first evaluator) (evaluator, error) {
	operands := []evaluator{first}
	var comparators []string
	for precedence[p.peek()] == comparisonLevel {
		comparators = append(comparators, p.peek())
		p.accept(p.peek())
		operand, err := p.expression(comparisonLevel + 1)
		if err != nil {
			return nil, err
		}
		operands = append(operands, operand)
	}
	return func(v map[string]any) (any, error) {
		left, err := operands[0](v)
		for i, comparator := range comparators {
			if err != nil {
				return nil, err
			}
			right, rightErr := operands[i+1](v)
			if rightErr != nil {
				return nil, rightErr
			}
			if ok, err := holds(comparator, left, right); !ok || err != nil {
				return false, err
			}
			left = right
		}
		return true, err
	}, nil
}

// binary evaluates an operator: "and" and "or" give the operand that decides, and do not look further.
func binary(operator string, left, right evaluator, v map[string]any) (any, error) {
	a, err := left(v)
	if err != nil || operator == "and" && !truth(a) || operator == "or" && truth(a) {
		return a, err
	}
	b, err := right(v)
	if err != nil || operator == "and" || operator == "or" {
		return b, err
	}
	return operate(operator, a, b)
}

// truth is Python's: zero and the empty string are false.
func truth(value any) bool {
	number, _, isNumber := numeric(value)
	return isNumber && number != 0 || !isNumber && value != "" && value != nil
}

// numeric is a value as a number, and whether it is a whole one by type: truth values count as 0 and 1.
func numeric(value any) (number float64, whole, ok bool) {
	switch value := value.(type) {
	case bool:
		if value {
			return 1, true, true
		}
		return 0, true, true
	case int:
		return float64(value), true, true
	case float64:
		return value, false, true
	}
	return 0, false, false
}

// holds compares numbers, or strings; values of different kinds are unequal and have no order.
func holds(comparator string, a, b any) (bool, error) {
	x, _, xIsNumber := numeric(a)
	y, _, yIsNumber := numeric(b)
	order, ordered := cmp.Compare(x, y), xIsNumber && yIsNumber
	if s, ok := a.(string); ok {
		if t, ok := b.(string); ok {
			order, ordered = cmp.Compare(s, t), true
		}
	}
	switch {
	case comparator == "==", comparator == "!=":
		return (ordered && order == 0) == (comparator == "=="), nil
	case !ordered:
		return false, fmt.Errorf("%#v %s %#v", a, comparator, b)
	}
	return comparator[0] == '<' && order < 0 || comparator[0] == '>' && order > 0 || len(comparator) == 2 && order == 0, nil
}

// operate is Python's arithmetic: / gives a float, // and % round down, & | ^ of truth values are truth values.
func operate(operator string, a, b any) (any, error) {
	x, xWhole, xOK := numeric(a)
	y, yWhole, yOK := numeric(b)
	whole := xWhole && yWhole
	if !xOK || !yOK || !whole && strings.Contains("&|^", operator) {
		return nil, fmt.Errorf("%#v %s %#v", a, operator, b)
	}
	if y == 0 && strings.Contains("//%", operator) {
		return nil, fmt.Errorf("division by zero")
	}
	var result float64
	switch operator {
	case "+":
		result = x + y
	case "-":
		result = x - y
	case "*":
		result = x * y
	case "/":
		result, whole = x/y, false
	case "//":
		result = math.Floor(x / y)
	case "%":
		result = x - y*math.Floor(x/y)
	case "**":
		result, whole = math.Pow(x, y), whole && y >= 0
	case "&":
		result = float64(int(x) & int(y))
	case "|":
		result = float64(int(x) | int(y))
	case "^":
		result = float64(int(x) ^ int(y))
	}
	if _, isBool := a.(bool); isBool && strings.Contains("&|^", operator) {
		if _, isBool := b.(bool); isBool {
			return result != 0, nil
		}
	}
	return arithmetic(operator, result, whole)
}

// arithmetic is a result as a value.
func arithmetic(operator string, result float64, whole bool) (any, error) {
	switch {
	case math.IsNaN(result), math.IsInf(result, 0), whole && math.Abs(result) > 1<<50:
		return nil, fmt.Errorf("the result of %s, %g, is out of range", operator, result)
	case whole:
		return int(result), nil
	}
	return result, nil
}

func TestFormula(t *testing.T) {
	variables := map[string]any{"X": 3, "Y": -2, "B": true, "s": "ab", "f": 0.5}
	for text, want := range map[string]any{ // what Python 3 says
		"X + Y": 1, "X - Y * 2": 7, "(X - Y) * 2": 10, "X / 2": 1.5, "Y // 2": -1, "X // Y": -2, "X % Y": -1, "-7 % 3": 2, "7 % -3": -2,
		"-2 ** 2": -4, "2 ** 3 ** 2": 512, "2 ** -1": 0.5, "X == 3": true, "X != 3": false, "X == B": false, "1 == B": true,
		"B + B": 2, "B & False": false, "X & 1": 1, "X | 4 ^ 6 & 3": 7, "1 < X < 3": false, "1 < X <= 3 == 3": true,
		"not X == 3": false, "not B and B": false, "not (B and B)": false, "0 or Y": -2, "X and 0": 0, "X or 1 / 0": 3, "B if X > 5 else s": "ab",
		"1 if B else 2 if B else 3": 1, "s == 'ab'": true, `s < "b"`: true, "s == 1": false, "min(X, Y, 0)": -2, "max(X, f)": 3,
		"abs(Y)": 2, "abs(B)": 1, "int(B) + int(2.9)": 3, "bool(X)": true, "f * 4": 2.0, "1.5e1": 15.0, "X * X - (Y if not B else 1) > 7": true,
		"X+Y>0": true, "- - X": 3, "+X": 3, "f // 1": 0.0,
	} {
		evaluate, _, err := parseFormula(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := evaluate(variables); err != nil || got != want {
			t.Errorf("%s = %#v, %v; wanted %#v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "X +", "(X", "X)", "X Y", "1 + not B", "X = 3", "X if B", "f(", "len(s)", "min(X)", "abs(X, Y)", "X $ Y",
		"X . Y", "and", "X == ", "'ab", "None", "X, Y", strings.Repeat("(", 1000)} {
		if _, _, err := parseFormula(text); err == nil {
			t.Errorf("%q was parsed", text)
		}
	}
	for _, text := range []string{"Z", "X / 0", "X % 0", "s + 1", "s < 1", "f & 1", "2 ** 60", "min(X, s)", "1e308 * 10", "abs(s)",
		"0 ** -1"} {
		evaluate, _, err := parseFormula(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := evaluate(variables); err == nil {
			t.Errorf("%s = %#v, wanted an error", text, got)
		}
	}
}

func FuzzFormula(f *testing.F) {
	for _, text := range []string{"W == X", "P + D > 4", "not (a and b) or c ** -2 // 3 % 4",
		"min(a, b) if a < b <= c else 'x'", "1e5 & .5 | True"} {
		f.Add(text, 3, true)
	}
	f.Fuzz(func(t *testing.T, text string, number int, truth bool) {
		evaluate, names, err := parseFormula(text)
		if err != nil {
			return
		}
		variables := map[string]any{}
		for i, name := range names {
			variables[name] = []any{number, truth, float64(number) / 3, text}[i%4]
		}
		first, firstErr := evaluate(variables)
		second, secondErr := evaluate(variables)
		if firstErr == nil && first == nil || first != second || (firstErr == nil) != (secondErr == nil) {
			t.Errorf("%q: %v, %v; again: %v, %v", text, first, firstErr, second, secondErr)
		}
	})
}
