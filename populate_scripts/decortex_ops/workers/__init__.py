"""Workers and the scheduler: which job comes next, running it, surviving faults."""
