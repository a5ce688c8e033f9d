package app

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/handler/static"
)

func newFileServerCommand(stopCh <-chan struct{}) *cobra.Command {
	serving := newServingOptions(oneLinerDefaults)
	var root string
	var precompressed bool
	var opts static.Options
	cmd := &cobra.Command{
		Use:   "file-server",
		Short: "Serve the files of a directory",
		Long: `Serve the files below a directory: GET and HEAD, index.html, conditional
requests and ranges. Names that begin with a dot are not served (.well-known
is), and symbolic links do not lead out of the directory.`,
		Example: `  penstock file-server
  penstock file-server --root /srv/www --listen :8080
  penstock file-server --browse --tls-listen :8443 --tls-cert-file cert.pem --tls-private-key-file key.pem`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCommand(cmd, stopCh, serving, func() (serverFactory, error) {
				if precompressed {
					opts.Precompressed = []string{"zstd", "br", "gzip"}
				}
				h, err := static.New(root, opts)
				if err != nil {
					return nil, explainRoot(root, err)
				}
				return newSingle(h), nil // its root stays open until the process ends
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&root, "root", ".", "`DIR` whose files are served")
	cmd.Flags().BoolVar(&opts.Browse, "browse", false, "list directories without index.html")
	cmd.Flags().BoolVar(&precompressed, "precompressed", false, "send FILE.zst, FILE.br or FILE.gz beside FILE to who takes it")
	serving.AddFlags(cmd.Flags())
	return cmd
}

func explainRoot(root string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--root %s: no such directory; check the path", root)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("--root %s: not a directory; name the directory the file is in", root)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("--root %s: permission denied; let this user read and enter it", root)
	}
	return fmt.Errorf("--root %s: %w", root, err)
}
