"""Which version of a model serves: announced on a topic, followed by every worker."""
