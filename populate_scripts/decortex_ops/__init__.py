"""Operations of decortex: command line, workers, scheduler, embedded server, demo."""

import warnings

# decortex takes its settings from the environment; DataJoint's advice to write a file does not apply.
warnings.filterwarnings("ignore", message="No datajoint.json found")
