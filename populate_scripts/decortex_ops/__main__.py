"""`python -m decortex_ops` is the same as the command `decortex`."""

from decortex_ops.cli import main

main()
