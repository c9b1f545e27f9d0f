package expr_test

import (
	"math/big"
	"strconv"
	"strings"
)

// decimal is a number as Postgres' numeric has it: digits with a scale, or one of the special values.
type decimal struct {
	special int // 0 ordinary, -1 -Infinity, 1 Infinity, 2 NaN
	digits  *big.Int
	scale   int
}

func decimalFrom(s string) decimal {
	switch s {
	case "NaN":
		return decimal{special: 2}
	case "Infinity":
		return decimal{special: 1}
	case "-Infinity":
		return decimal{special: -1}
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		panic(s)
	}
	return decimal{digits: n, scale: len(fraction)}
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// scaled gives the digits at a larger scale.
func (d decimal) scaled(scale int) *big.Int { return new(big.Int).Mul(d.digits, pow10(scale-d.scale)) }

func (d decimal) sign() int {
	switch d.special {
	case 0:
		return d.digits.Sign()
	case 2:
		return 0
	}
	return d.special
}

func (d decimal) compare(e decimal) int {
	if d.special != 0 || e.special != 0 {
		rank := map[int]int{-1: -1, 0: 0, 1: 1, 2: 2}
		return rank[d.special] - rank[e.special]
	}
	s := max(d.scale, e.scale)
	return d.scaled(s).Cmp(e.scaled(s))
}

func (d decimal) negated() decimal {
	switch d.special {
	case 2:
		return d
	case 0:
		return decimal{digits: new(big.Int).Neg(d.digits), scale: d.scale}
	}
	return decimal{special: -d.special}
}

func (d decimal) plus(e decimal) decimal {
	switch {
	case d.special == 2 || e.special == 2 || d.special != 0 && d.special == -e.special:
		return decimal{special: 2}
	case d.special != 0:
		return d
	case e.special != 0:
		return e
	}
	s := max(d.scale, e.scale)
	return decimal{digits: new(big.Int).Add(d.scaled(s), e.scaled(s)), scale: s}
}

func (d decimal) times(e decimal) decimal {
	if d.special != 0 || e.special != 0 {
		sign := d.sign() * e.sign()
		if d.special == 2 || e.special == 2 || sign == 0 {
			return decimal{special: 2}
		}
		return decimal{special: sign}
	}
	return decimal{digits: new(big.Int).Mul(d.digits, e.digits), scale: d.scale + e.scale}
}

// over divides by what is not zero, to as many digits as Postgres gives.
func (d decimal) over(e decimal) decimal {
	switch {
	case d.special == 2 || e.special == 2 || d.special != 0 && e.special != 0:
		return decimal{special: 2}
	case d.special != 0:
		return decimal{special: d.special * e.sign()}
	case e.special != 0:
		return decimal{digits: new(big.Int)}
	}
	scale := divisionScale(d, e)
	num, den := new(big.Int).Mul(d.digits, pow10(scale+e.scale)), new(big.Int).Mul(e.digits, pow10(d.scale))
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	if r.Abs(r).Lsh(r, 1).CmpAbs(den) >= 0 { // half away from zero
		q.Add(q, big.NewInt(int64(num.Sign()*den.Sign())))
	}
	return decimal{digits: q, scale: scale}
}

// divisionScale is select_div_scale of Postgres' numeric.c: at least 16 significant digits, in groups of four.
func divisionScale(d, e decimal) int {
	w1, f1 := d.firstGroup()
	w2, f2 := e.firstGroup()
	quotient := w1 - w2
	if f1 <= f2 {
		quotient--
	}
	return min(max(16-4*quotient, d.scale, e.scale, 0), 1000)
}

// firstGroup gives the weight, in groups of four digits from the point, of the first group that is not zero, and its value.
func (d decimal) firstGroup() (weight, value int) {
	if d.digits.Sign() == 0 {
		return 0, 0
	}
	digits := new(big.Int).Abs(d.digits).String()
	digits = strings.Repeat("0", max(0, d.scale-len(digits)+1)) + digits
	whole, fraction := digits[:len(digits)-d.scale], digits[len(digits)-d.scale:]
	whole = strings.Repeat("0", (4-len(whole)%4)%4) + whole
	fraction += strings.Repeat("0", (4-len(fraction)%4)%4)
	all := whole + fraction
	for i := 0; i < len(all); i += 4 {
		if value, _ = strconv.Atoi(all[i : i+4]); value != 0 {
			return len(whole)/4 - 1 - i/4, value
		}
	}
	panic("zero")
}
