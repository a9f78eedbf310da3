"""What travels: records, topics, the codec, and the client for other programs."""
