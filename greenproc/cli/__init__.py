"""The command line, ``greenproc``: one module a command, gathered by `greenproc.cli.main`."""
