"""Operations of decortex: command line, workers, scheduler, embedded server, demo."""
