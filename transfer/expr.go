package transfer

import (
	"errors"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// The limits of an expression. A mapping comes from a person who may import, and
// still must not be able to stop the node: no expression can loop inside a loop,
// build lists out of nothing or texts that grow by multiplication.
const (
	maxExpr     = 4000     // characters
	maxNodes    = 200      // parts of its syntax tree
	maxCell     = 16 << 10 // bytes of a cell that it reads
	maxParts    = 200      // of split
	maxMemory   = 5000     // elements that it may make
	maxReplaced = 64 << 10 // bytes
)

// allowed are the functions of expr-lang that an expression may use, beside
// split, replace, html and fold below.
var allowed = []string{"all", "none", "any", "one", "filter", "find", "count", "len", "abs", "ceil", "floor", "round", "int", "float",
	"string", "trim", "trimPrefix", "trimSuffix", "upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix", "max", "min", "first", "last"}

var functions = []expr.Option{
	expr.Function("split", func(a ...any) (any, error) {
		s, sep := a[0].(string), a[1].(string)
		if strings.Count(s, sep) >= maxParts {
			return nil, fmt.Errorf("split gives over %d parts", maxParts)
		}
		return strings.Split(s, sep), nil
	}, new(func(string, string) []string)),
	expr.Function("replace", func(a ...any) (any, error) {
		s, old, to := a[0].(string), a[1].(string), a[2].(string)
		if len(s)+strings.Count(s, old)*len(to) > maxReplaced {
			return nil, fmt.Errorf("replace gives over %d bytes", maxReplaced)
		}
		return strings.ReplaceAll(s, old, to), nil
	}, new(func(string, string, string) string)),
	expr.Function("html", func(a ...any) (any, error) {
		return html.UnescapeString(a[0].(string)), nil
	}, new(func(string) string)),
	expr.Function("fold", func(a ...any) (any, error) {
		return fold(a[0].(string)), nil
	}, new(func(string) string)),
}

// program is a compiled expression and the columns that it reads.
type program struct {
	code   *vm.Program
	idents map[string]int // identifier -> column
	quoted map[string]int // column by its own name, in row["..."]
}

// identifier is a column's name in an expression: every character that is not a
// letter or a digit becomes an underscore.
func identifier(column string) string {
	s := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return '_'
	}, column)
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "_" + s
	}
	return s
}

var keywords = map[string]bool{"row": true, "true": true, "false": true, "nil": true, "in": true, "not": true, "and": true, "or": true, "let": true,
	"if": true, "else": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true,
	"split": true, "replace": true, "html": true, "fold": true}

func init() {
	for _, f := range allowed {
		keywords[f] = true
	}
}

func compileExpr(text string, columns []string) (*program, error) {
	if len(text) > maxExpr {
		return nil, fmt.Errorf("the expression has over %d characters", maxExpr)
	}
	env := map[string]any{"row": map[string]string{}}
	idents, twice := map[string]int{}, map[string]bool{}
	for i, c := range columns {
		id := identifier(c)
		if _, dup := idents[id]; dup {
			twice[id] = true
		}
		if !keywords[id] {
			idents[id] = i
		}
	}
	for id := range twice {
		delete(idents, id) // only by row["..."], which says which
	}
	for id := range idents {
		env[id] = ""
	}
	p := &program{idents: map[string]int{}, quoted: map[string]int{}}
	look := &looker{columns: columns, idents: idents, twice: twice, into: p}
	opts := append([]expr.Option{expr.Env(env), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(), expr.Patch(look)}, functions...)
	for _, f := range allowed {
		opts = append(opts, expr.EnableBuiltin(f))
	}
	code, err := expr.Compile(text, opts...)
	if look.err != nil {
		return nil, look.err
	}
	if err != nil {
		var fe *file.Error
		if errors.As(err, &fe) {
			msg := fe.Message
			if name, ok := strings.CutPrefix(msg, "unknown name "); ok {
				switch near := nearest(name, columns); {
				case twice[name]:
					msg = fmt.Sprintf("%s may be several columns: name the one you mean as row[\"...\"]", name)
				case near != "":
					msg = fmt.Sprintf("no column %s; did you mean %s?", name, identifier(near))
				default:
					msg = "no column " + name
				}
			}
			return nil, fmt.Errorf("%s (character %d of the expression)", msg, fe.Column+1)
		}
		return nil, err
	}
	p.code = code
	return p, nil
}

// looker notes the columns that an expression reads and refuses what it may not
// hold.
type looker struct {
	columns []string
	idents  map[string]int
	twice   map[string]bool
	into    *program
	err     error
}

func (l *looker) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

func (l *looker) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if i, ok := l.idents[n.Value]; ok {
			l.into.idents[n.Value] = i
		}
	case *ast.MemberNode:
		if id, ok := n.Node.(*ast.IdentifierNode); ok && id.Value == "row" {
			name, ok := n.Property.(*ast.StringNode)
			if !ok {
				l.fail(`row needs a column name in quotes: row["..."]`)
				return
			}
			for i, c := range l.columns {
				if c == name.Value {
					l.into.quoted[c] = i
					return
				}
			}
			if near := nearest(name.Value, l.columns); near != "" {
				l.fail("no column %q; did you mean %q?", name.Value, near)
			} else {
				l.fail("no column %q", name.Value)
			}
		}
	case *ast.BuiltinNode: // the compiler lets those with a loop pass even when they are disabled
		if !slices.Contains(allowed, n.Name) {
			l.fail("the function %s is not allowed", n.Name)
		}
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		l.fail("an expression is one value: no let and no ;")
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "**" || n.Operator == "^" {
			l.fail("the operator %s is not allowed", n.Operator)
		}
	case *ast.PredicateNode:
		inner := &predicates{}
		ast.Walk(&n.Node, inner)
		if inner.n > 0 {
			l.fail("a loop inside a loop is not allowed")
		}
	}
}

type predicates struct{ n int }

func (p *predicates) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		p.n++
	}
}

// machine runs programs; it is for one goroutine at a time.
type machine struct {
	vm  vm.VM
	env map[string]any
	row map[string]string
}

func newMachine() *machine {
	m := &machine{env: map[string]any{}, row: map[string]string{}}
	m.vm.MemoryBudget = maxMemory
	m.env["row"] = m.row
	return m
}

// run returns the text of a program's value, or its parts where it is a list.
func (m *machine) run(p *program, values []string) (text string, list []string, err error) {
	get := func(i int) string {
		if i < len(values) {
			if len(values[i]) > maxCell {
				err = fmt.Errorf("a cell of over %d bytes is too long for an expression", maxCell)
			}
			return values[i]
		}
		return ""
	}
	for id, i := range p.idents {
		m.env[id] = get(i)
	}
	for name, i := range p.quoted {
		m.row[name] = get(i)
	}
	if err != nil {
		return "", nil, err
	}
	v, err := m.vm.Run(p.code, m.env)
	if err != nil {
		var fe *file.Error
		if errors.As(err, &fe) {
			err = errors.New(fe.Message)
		}
		return "", nil, fmt.Errorf("the expression failed: %s", short(err.Error()))
	}
	switch v := v.(type) {
	case []string:
		return "", v, nil
	case []any:
		list := []string{}
		for _, e := range v {
			s, ok := scalar(e)
			if !ok {
				return "", nil, fmt.Errorf("the expression gives a list of something else than texts and numbers")
			}
			list = append(list, s)
		}
		return "", list, nil
	}
	text, ok := scalar(v)
	if !ok {
		return "", nil, fmt.Errorf("the expression gives neither a text, a number, a flag nor a list of them")
	}
	return text, nil, nil
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}
