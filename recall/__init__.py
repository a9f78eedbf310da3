"""Every way to find a track, and how many lists become one answer."""
