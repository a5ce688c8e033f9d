package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/handler"
)

const rootLong = `penstock serves HTTP at the edge of the network.

Each flag can also be given in the environment: --shutdown-timeout is
PENSTOCK_SHUTDOWN_TIMEOUT. A flag beats the environment, and that the default.
Flags that may be repeated take a list there, parted by commas (--header,
--tls-sni-cert-key and --cors-allowed-origins: by new lines).

Signals: TERM, INT and QUIT finish what runs, then end; a second one ends at once.
HUP reads the configuration, certificates and tokens anew, and opens the logs anew.

Exit codes:
  0  clean
  1  wrong flag or configuration, failed start, fatal error, or second signal
  2  an address could not be bound
  3  the drain's deadline passed and connections were cut
  4  requests of bench failed`

const rootExample = `  penstock serve
  penstock file-server --root ./public --browse
  penstock respond --status 503 --header "Retry-After: 5" --body "back soon"`

// NewServerCommand makes the command tree. Serving commands drain when stopCh
// closes.
func NewServerCommand(stopCh <-chan struct{}) *cobra.Command {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "An HTTP server for the edge",
		Long:          rootLong,
		Example:       rootExample,
		Version:       handler.BuildVersion().String(),
		SilenceErrors: true, // Execute prints, one line an error
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return applyEnv(cmd.Flags())
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},

		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd.CommandPath(), explainFlag(err)}
	})
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	root.AddCommand(
		newServeCommand(stopCh),
		newRespondCommand(stopCh),
		newFileServerCommand(stopCh),
		newReverseProxyCommand(stopCh),
		newBenchCommand(stopCh),
		newValidateCommand(),
		newConfigCommand(),
		newVersionCommand(),
	)
	return root
}

// Execute runs the command with the arguments of the process, prints its error
// and tells the code to exit with.
func Execute(root *cobra.Command) int {
	err := root.Execute()
	if err != nil {
		printError(root.ErrOrStderr(), err)
	}
	return ExitCode(err)
}

// knownCommand refuses what is not a command, with a guess what was meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if guesses := cmd.SuggestionsFor(args[0]); len(guesses) > 0 {
		text += fmt.Sprintf(", did you mean %q", strings.Join(guesses, " or "))
	}
	return &usageError{cmd.CommandPath(), errors.New(text)}
}

// noArguments refuses positional arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{cmd.CommandPath(), fmt.Errorf("%s takes no arguments, got %q", cmd.Name(), args[0])}
}
