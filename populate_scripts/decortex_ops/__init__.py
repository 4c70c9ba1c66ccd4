"""Operations of decortex: command line, workers, scheduler, embedded server, demo."""

import os
import warnings

# decortex takes its settings from the environment; DataJoint would read files in the current folder and all above it,
# whoever wrote them.
os.environ.setdefault("DJ_IGNORE_CONFIG_FILE", "true")
# Its advice to write such a file does not apply either, where it was imported before.
warnings.filterwarnings("ignore", message="No datajoint.json found")
