"""What an operator sees of a worker: metrics, health, logs; and what ends one that is stuck."""
