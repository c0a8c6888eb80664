"""Hearing clips: played on this host, or served to a browser on another."""
