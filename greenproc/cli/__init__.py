"""The command line, ``greenproc``: one module per command, registered in `greenproc.cli.main`."""
