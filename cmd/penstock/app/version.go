package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/handler"
)

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what the binary was built from",
		Long:  "Print version, commit, toolchain and build tags of the binary.",
		Example: `  penstock version
  penstock version --json | jq -r .commit`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info := handler.BuildVersion()
			text := info.String() + "\n"
			if asJSON {
				text = string(info.JSON())
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
