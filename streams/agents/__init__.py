"""What reacts to an event, one agent a file."""
