"""Real Kafka and Redis from pip alone, and the supervisor that keeps them and the workers running."""
