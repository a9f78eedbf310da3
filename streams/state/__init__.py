"""What is held in Redis: persons, popularity, artists and playlists. Only here is Redis known."""
