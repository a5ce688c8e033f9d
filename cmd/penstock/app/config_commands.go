package app

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/cmd/penstock/front"
	"github.com/penstock-edge/penstock/listener"
)

func newValidateCommand() *cobra.Command {
	var file, against string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration",
		Long: `Check a configuration as serve -c would, without binding or sending anything:
its syntax and references, the certificates, authorities and directories that it
names, its routes. All that is wrong is told at once, each with its place. With
--against it tells what a reload of a running server would change.`,
		Example: `  penstock validate -c /etc/penstock/penstock.yaml
  penstock validate -c /etc/penstock/penstock.yaml --against unix:/run/penstock/admin.sock`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := validate(cmd, file)
			if asJSON {
				return tellProblems(cmd, err)
			}
			if err != nil {
				return err
			}
			if against != "" {
				return compareWith(cmd, file, against)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is good\n", file)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the `FILE`; required")
	cmd.Flags().BoolVar(&asJSON, "json", false, "tell the problems as JSON")
	cmd.Flags().StringVar(&against, "against", "", "admin address `ADDR` of a running server, HOST:PORT or unix:PATH: tell what a reload would change")
	return cmd
}

var errNoFile = errors.New("-c is missing; name the configuration, as -c penstock.yaml")

func validate(cmd *cobra.Command, name string) error {
	if name == "" {
		return errNoFile
	}
	f, err := openConfigFile(cmd.Context(), name)
	if err != nil {
		return err
	}
	fr, err := front.New(f.config(), front.Options{})
	if err == nil {
		fr.Close()
	}
	if err = errors.Join(f.tryTLS(), err); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// No error: it may be served by another user, with other limits.
	if n := f.config().Limits.Connections.Value(); n > listener.ConnectionCeiling() {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "penstock: %s: limits.connections %d: this user may have %d, at two descriptors each; raise ulimit -n (LimitNOFILE=)\n",
			name, n, listener.ConnectionCeiling())
	}
	return err
}

// tellProblems writes them as a list. The error is what the exit code follows from.
func tellProblems(cmd *cobra.Command, err error) error {
	list := problemsOf(err)
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	if werr := enc.Encode(list); werr != nil {
		return werr
	}
	if len(list) > 0 {
		return &ExitCodeError{ExitError, fmt.Errorf("%d problems", len(list))}
	}
	return nil
}

// flat are the errors that Join has joined; nil has none.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	if all := explode(err); all != nil {
		return all
	}
	return []error{err}
}

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show a configuration, or what one may say",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var file string
	var opts config.EffectiveOptions
	show := &cobra.Command{
		Use:   "show",
		Short: "Show a configuration as it was understood",
		Long: `Show a configuration with the origin of each value: file:LINE, env, or with
--effective default, for what nobody has given. What is shown is a valid
configuration.`,
		Example: `  penstock config show -c penstock.yaml --effective`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return errNoFile
			}
			f, err := config.Load(file, config.Options{})
			if err != nil {
				return err
			}
			return f.Effective(cmd.OutOrStdout(), opts)
		},
	}
	show.Flags().StringVarP(&file, "config", "c", "", "the `FILE`; required")
	show.Flags().BoolVar(&opts.Defaults, "effective", false, "with the defaults of what nobody has given")
	show.Flags().BoolVar(&opts.JSON, "json", false, "as JSON, without the origins")
	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of configurations, for editors",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}
	cmd.AddCommand(show, schema)
	return cmd
}
