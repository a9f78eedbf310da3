"""The vector index: one protocol, in-process (Qdrant Edge) and as a server (Qdrant)."""
