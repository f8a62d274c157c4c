"""What programs that run an experiment ask for, and the clocks that they time it by. No I/O."""
