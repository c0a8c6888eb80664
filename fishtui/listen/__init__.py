"""Listen to clips: on this host, or in a browser on another computer."""
