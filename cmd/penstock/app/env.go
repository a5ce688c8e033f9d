package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

const (
	envPrefix = "PENSTOCK_"
	// envSeparator marks flags that may be repeated: what parts the values of
	// one variable.
	envSeparator = "env-separator"
)

// envName is the variable of a flag: --tls-cert-file is PENSTOCK_TLS_CERT_FILE.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnv sets the flags that were not given from the environment. A variable
// that is set but empty counts as not set. All errors are told together.
func applyEnv(fs *pflag.FlagSet) error {
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" {
			return
		}
		value, ok := os.LookupEnv(envName(f.Name))
		if !ok || value == "" {
			return
		}
		for _, v := range envValues(f, value) {
			if err := fs.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", envName(f.Name), value, explainValue(err)))
				return
			}
		}
	})
	return errors.Join(errs...)
}

func envValues(f *pflag.Flag, value string) []string {
	sep := f.Annotations[envSeparator]
	if len(sep) == 0 {
		return []string{value}
	}
	var out []string
	for v := range strings.SplitSeq(value, sep[0]) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// repeatable adds a flag that may be given several times.
func repeatable(fs *pflag.FlagSet, p *[]string, name, separator, usage string) {
	fs.StringArrayVar(p, name, nil, usage)
	_ = fs.SetAnnotation(name, envSeparator, []string{separator}) // fails for unknown names only
}
