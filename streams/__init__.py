"""What runs: Faust agents, Redis state, embedded parts and the command line."""
