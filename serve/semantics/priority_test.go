package semantics

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestParsePriority(t *testing.T) {
	u := func(n uint8) Priority { return Priority{Urgency: n} }
	incremental := Priority{3, true}
	for _, c := range []struct {
		name, field string
		want        Priority
	}{
		{"nothing", "", DefaultPriority},
		{"spaces", "  ", DefaultPriority},
		{"urgency", "u=5", u(5)},
		{"most urgent", "u=0", u(0)},
		{"least urgent", "u=7", u(7)},
		{"incremental", "i", incremental},
		{"incremental, said", "i=?1", incremental},
		{"not incremental", "i=?0", DefaultPriority},
		{"both", "u=1, i", Priority{1, true}},
		{"both, turned", "i,u=1", Priority{1, true}},
		{"white space", "  u=1 \t,\t i ", Priority{1, true}},
		{"leading zero", "u=05", u(5)},
		{"minus zero", "u=-0", u(0)},
		{"parameters", "u=2;a;b=1;c=\"x,y\"; d=tok, i;x=?0", Priority{2, true}},
		{"others around", `a=1.5, u=2, b="u=7", c=(u i;q=1 "i=?0"), *d-._*=a/b:c, e=:aGk=:, i`, Priority{2, true}},
		{"inner lists", "a=(), b=( ), c=(  1  2  ), d=(1);x, u=4", u(4)},

		// §4: out of range, or of another type.
		{"too large", "u=8, i", incremental},
		{"far too large", "u=999999999999999, i", incremental},
		{"negative", "u=-1", DefaultPriority},
		{"decimal", "u=1.0", DefaultPriority},
		{"string", `u="1"`, DefaultPriority},
		{"token", "u=a, i=true", DefaultPriority},
		{"no value", "u", DefaultPriority},
		{"boolean urgency", "u=?1", DefaultPriority},
		{"inner list", "u=(1), i=(?1)", DefaultPriority},
		{"integer for incremental", "i=1", DefaultPriority},
		{"repeated: the last counts", "u=1, i, u=2, i=?0", u(2)},
		{"repeated: also a bad one", "u=1, u=9", DefaultPriority},

		// RFC 8941 §4.2: what is no dictionary is ignored as a whole.
		{"comma at the end", "u=1,", DefaultPriority},
		{"comma at the begin", ",u=1", DefaultPriority},
		{"no comma", "u=1 i", DefaultPriority},
		{"empty member", "u=1,,i", DefaultPriority},
		{"upper case key", "U=1, u=1", DefaultPriority},
		{"digit first", "1=1, u=1", DefaultPriority},
		{"space before =", "u =1", DefaultPriority},
		{"space after =", "u= 1", DefaultPriority},
		{"tab at the begin", "\tu=1", DefaultPriority},
		{"no value after =", "u=1, i=", DefaultPriority},
		{"plus", "u=+1", DefaultPriority},
		{"16 digits", "i, u=0000000000000001", DefaultPriority},
		{"15 digits", "i, u=000000000000001", Priority{1, true}},
		{"13 digits and a fraction", "i, a=1234567890123.1", DefaultPriority},
		{"four of a fraction", "i, a=1.1234", DefaultPriority},
		{"no fraction", "i, a=1.", DefaultPriority},
		{"minus alone", "i, a=-", DefaultPriority},
		{"boolean", "i=?2", DefaultPriority},
		{"half a boolean", "u=1, i=?", DefaultPriority},
		{"string not closed", `u=1, a="b`, DefaultPriority},
		{"string escapes", `u=1, a="\"\\"`, u(1)},
		{"string escapes another", `u=1, a="\a"`, DefaultPriority},
		{"string ends in its escape", `u=1, a="\`, DefaultPriority},
		{"string with a control", "u=1, a=\"\t\"", DefaultPriority},
		{"string with eight bits", "u=1, a=\"é\"", DefaultPriority},
		{"bytes not closed", "u=1, a=:aGk=", DefaultPriority},
		{"bytes of another alphabet", "u=1, a=:a-:", DefaultPriority},
		{"list not closed", "u=1, a=(1", DefaultPriority},
		{"list in a list", "u=1, a=((1))", DefaultPriority},
		{"list without spaces", `u=1, a=(1"b")`, DefaultPriority},
		{"list with commas", "u=1, a=(1,2)", DefaultPriority},
		{"list of parameters", "u=1, a=(b;)", DefaultPriority},
		{"parameter without a key", "u=1;", DefaultPriority},
		{"parameter without a value", "u=1;a=", DefaultPriority},
		{"parameter with a list", "u=1;a=(1)", DefaultPriority},
		{"space before a parameter", "u=1 ;a", DefaultPriority},
		{"NUL", "u=1\x00", DefaultPriority},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ParsePriority([]byte(c.field)); got != c.want {
				t.Errorf("ParsePriority(%q) = %+v, want %+v", c.field, got, c.want)
			}
		})
	}
}

// The grammar of RFC 8941 once more, as its ABNF has it.
const (
	sfKey    = `[a-z*][a-z0-9_.*-]*`
	sfItem   = `(?:-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}|"(?:[ !#-\[\]-~]|\\["\\])*"|:[A-Za-z0-9+/=]*:|\?[01]|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/` + "`" + `-]*)`
	sfParams = `(?:; *` + sfKey + `(?:=` + sfItem + `)?)*`
	sfList   = `\( *(?:` + sfItem + sfParams + `(?: +` + sfItem + sfParams + `)* *)?\)`
	sfMember = `(` + sfKey + `)(?:=(` + sfItem + `|` + sfList + `))?` + sfParams
)

var (
	sfDictionary = regexp.MustCompile(`^ *(?:` + sfMember + `(?:[ \t]*,[ \t]*` + sfMember + `)*)?[ \t]*$`)
	sfFirst      = regexp.MustCompile(`^[ \t,]*` + sfMember + `[ \t]*(?:,|$)`)
)

// priorityByGrammar is ParsePriority by regular expressions.
func priorityByGrammar(field string) Priority {
	p := DefaultPriority
	if !sfDictionary.MatchString(field) || strings.Trim(field, " ") == "" {
		return p
	}
	for {
		m := sfFirst.FindStringSubmatch(field)
		if m == nil {
			return p
		}
		field = field[len(m[0]):]
		switch key, value := m[1], m[2]; key {
		case "u":
			p.Urgency = 3
			if n, err := strconv.Atoi(value); err == nil && 0 <= n && n <= 7 {
				p.Urgency = uint8(n)
			}
		case "i":
			p.Incremental = value == "" || value == "?1"
		}
	}
}

// FuzzPriority: the parser finds what the grammar says, in range, and reads
// members the same whatever stands before them.
func FuzzPriority(f *testing.F) {
	for _, s := range []string{
		"", "u=1, i", "u=8", "i=?0;a=b", `a="\"", u=2`, "a=(1 b;c=:aGk=:), i", "u=1,", " u=1\t,i", "*=-1.5", "u=1;a=(", "a=?1;b, u=0", "\t", " \t",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		got := ParsePriority(field)
		if got.Urgency > maxUrgency {
			t.Fatalf("ParsePriority(%q) = %+v", field, got)
		}
		if want := priorityByGrammar(string(field)); got != want {
			t.Fatalf("ParsePriority(%q) = %+v, want %+v", field, got, want)
		}
		if got == DefaultPriority {
			return
		}
		if more := ParsePriority([]byte(string(field) + ",x")); more != got {
			t.Errorf("%q and a member more: %+v, was %+v", field, more, got)
		}
		if broken := ParsePriority([]byte(string(field) + ",")); broken != DefaultPriority {
			t.Errorf("%q and a comma: %+v", field, broken)
		}
	})
}

func BenchmarkParsePriority(b *testing.B) {
	in := []byte("u=1, i")
	b.ReportAllocs()
	for b.Loop() {
		if (ParsePriority(in) != Priority{1, true}) {
			b.Fatal("wrong priority")
		}
	}
}
